//! Signs of memorization that every run records, and that looking for them changes no picture.

use super::{common::*, job, open};
use pentimento::{
    diffusion::{Checkpoint, InitialNoise, LoadOptions, Pipeline, SampleRequest, Silent},
    engine::{Event, Job},
    store::{Run, read_signal_maps},
    study::{Edit, Embedding, EmbeddingEdit, Generation, Variant},
};
use std::sync::Arc;

fn judged(run: &std::path::Path, variant: Option<Arc<Variant>>) -> (Vec<Arc<Generation>>, SampleRequest) {
    let handle = engine(run);
    let (_, outline, _) = open(&handle, &demo());
    let outline = outline.unwrap();
    let mut work = job(&outline, 1, vec![3, 4]);
    work.sampling.at_once = 2;
    work.variant = variant;
    let request = SampleRequest {
        prompt: outline.prompts[0].text.clone(),
        sampling: work.sampling.clone(),
        noise: InitialNoise::Seeds(work.seeds.clone()),
    };
    let mut judged = Vec::new();
    let ending = follow(&handle, Job::Generate(work), &mut |event| {
        if let Event::Judged(g) = event {
            judged.push(g.clone());
        }
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    (judged, request)
}

#[test]
fn every_picture_is_recorded_with_its_signals_and_comes_out_as_without() {
    let folder = tempfile::tempdir().unwrap();
    let (judged, request) = judged(folder.path(), None);
    let checkpoint = Checkpoint::open(&demo().join("model")).unwrap();
    let pipeline = Pipeline::load(&checkpoint, &LoadOptions::default()).unwrap();
    let plain = pipeline.sample(&request, &mut Silent).unwrap();
    for (g, image) in judged.iter().zip(&plain.images) {
        assert_eq!(&image::open(&g.image).unwrap().to_rgb8(), image, "{}", g.key);
        let signals = g.signals.as_ref().unwrap();
        assert_eq!((g.noise_norm.len(), signals.localised.len()), (6, 6));
        assert!(signals.entropy_late.is_some() && signals.entropy_first.is_some_and(|e| e > 0.0));
        let maps = read_signal_maps(signals.maps.as_ref().unwrap()).unwrap();
        let (ending, difference) = (maps.ending.unwrap(), maps.difference.unwrap());
        assert_eq!((ending.width, ending.height), (16, 16));
        assert!(ending.values.iter().all(|v| (0.0..=1.0).contains(v)));
        assert_eq!(ending.mean(), signals.ending);
        // The score difference adds up to the square of the last step's norm.
        let sum: f64 = difference.values.iter().map(|v| f64::from(*v)).sum();
        let norm = f64::from(g.noise_norm[5]);
        assert!((sum.sqrt() / norm - 1.0).abs() < 1e-5, "{sum} {norm}");
        // Where the mask is even, the localised norm is the norm: it lies within the mask's range about it.
        let (low, high) = ending
            .values
            .iter()
            .fold((f32::MAX, 0f32), |(l, h), v| (l.min(*v), h.max(*v)));
        let mean = signals.ending.unwrap();
        for (norm, localised) in g.noise_norm.iter().zip(&signals.localised) {
            let ratio = localised / norm;
            assert!((low / mean..=high / mean).contains(&ratio), "{ratio}");
        }
    }

    // Read back: the same.
    let run = Run::open_read(folder.path()).unwrap();
    let read = run.generations(&[], |_| None);
    for g in &judged {
        let found = read.iter().find(|r| r.key == g.key).unwrap();
        assert_eq!(found.signals, g.signals);
    }
}

#[test]
fn a_replaced_embedding_has_no_end_token_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let variant = Variant {
        name: "silent".into(),
        edits: vec![Edit::Embedding(EmbeddingEdit {
            prompt: None,
            embedding: Embedding {
                tokens: 24,
                width: 96,
                values: vec![0.01; 24 * 96].into(),
            },
        })],
        ..Variant::default()
    };
    let (judged, _) = judged(folder.path(), Some(Arc::new(variant)));
    for g in &judged {
        let signals = g.signals.as_ref().unwrap();
        assert_eq!(g.noise_norm.len(), 6);
        assert_eq!((signals.ending, signals.entropy_late), (None, None));
        assert!(signals.localised.is_empty());
        let maps = read_signal_maps(signals.maps.as_ref().unwrap()).unwrap();
        assert!(maps.ending.is_none() && maps.difference.is_some());
    }
}
