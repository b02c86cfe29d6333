//! Variants: against diffusers, by the fixtures of `tools/fixtures/variants.py`; on disk; exported; and against bad input.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers are not seen as tests"
)]

#[path = "variants/clusters.rs"]
mod clusters;
mod common;
#[path = "variants/gradient_memory.rs"]
mod gradient_memory;
#[path = "variants/mitigation.rs"]
mod mitigation;
#[path = "variants/resume.rs"]
mod resume;
#[path = "variants/written.rs"]
mod written;

use candle_core::{DType, Tensor};
use common::tensors::{distance, tensors};
use pentimento::{
    diffusion::{
        Checkpoint, ExportError, InitialNoise, Kernels, LoadOptions, Observer, Pipeline, SampleRequest,
        Silent, Step, Untouched, export,
    },
    store::{read_variant, write_variant},
    study::{
        BitMask, Edit, Embedding, EmbeddingEdit, GuidanceSchedule, LayerRef, MaskEdit, NeuronEdit, Sampling,
        Transition, Variant, When,
    },
};
use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn checkpoint() -> Checkpoint {
    Checkpoint::open(&fixtures().join("diffusion/sd1")).unwrap()
}

fn pipeline() -> Pipeline {
    Pipeline::load(&checkpoint(), &LoadOptions::default()).unwrap()
}

fn variant_file(name: &str) -> PathBuf {
    fixtures().join("variants").join(name).with_extension("toml")
}

fn named(name: &str) -> Variant {
    read_variant(&variant_file(name)).unwrap()
}

fn request() -> SampleRequest {
    SampleRequest {
        prompt: "a photo of a red house".to_owned(),
        sampling: Sampling {
            steps: 10,
            guidance: 7.5,
            width: 64,
            height: 64,
            ..Sampling::default()
        },
        noise: InitialNoise::Seeds(vec![3, 4]),
    }
}

#[derive(Default)]
struct Trace(Vec<Tensor>);

impl Observer for Trace {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        assert!(step.noise_norms().unwrap().is_some());
        self.0.push(step.latents.clone());
        ControlFlow::Continue(())
    }
}

/// Latents after every step, `[steps, n, c, h, w]`.
fn trajectory(pipeline: &Pipeline) -> Tensor {
    let mut trace = Trace::default();
    pipeline.sample(&request(), &mut trace).unwrap();
    Tensor::stack(&trace.0, 0).unwrap()
}

fn one(edit: Edit) -> Variant {
    Variant {
        name: "test".to_owned(),
        edits: vec![edit],
        ..Variant::default()
    }
}

fn neurons(layer: LayerRef, neurons: &[u32], factor: f32) -> Edit {
    Edit::Neurons(NeuronEdit {
        layer,
        neurons: neurons.to_vec(),
        factor,
        when: None,
    })
}

/// Differences are those of rounding, amplified by ten steps at guidance 7.5; the unedited checkpoint is allowed the
/// same. Latents have values up to 20.
const TOLERANCE: f32 = 1e-4;

#[test]
fn edited_pictures_form_as_in_diffusers() {
    let reference = tensors(&fixtures().join("variants/reference.safetensors"));
    let original = pipeline();
    let plain = trajectory(&original);
    assert!(distance(&plain, &reference["original"]) <= TOLERANCE);
    let mut names: Vec<&String> = reference.keys().filter(|name| *name != "original").collect();
    names.sort();
    assert_eq!(names.len(), 9);
    for name in names {
        let want = &reference[name];
        // The fixture itself must tell edited from unedited at this tolerance.
        assert!(
            distance(want, &reference["original"]) > 100.0 * TOLERANCE,
            "{name}"
        );
        for kernels in [Kernels::Fast, Kernels::Plain] {
            let edited = original.with_variant(&named(name)).unwrap().with_kernels(kernels);
            let off = distance(&trajectory(&edited), want);
            println!("{name} {kernels:?}: {off:e}");
            assert!(
                off <= TOLERANCE,
                "{name} with {kernels:?} kernels is off by {off:e}"
            );
        }
    }
    let again = trajectory(&original);
    assert_eq!(distance(&again, &plain), 0.0, "the original changed");
}

#[test]
fn untouched_weights_are_shared_and_touched_ones_are_not() {
    let original = pipeline();
    let edited = original.with_variant(&named("mask")).unwrap();
    let address = |pipeline: &Pipeline, name: &str| {
        let weights = pipeline.unet_weights();
        let (storage, _) = weights.stored(name).unwrap().storage_and_layout();
        let candle_core::Storage::Cpu(storage) = &*storage else {
            unreachable!()
        };
        storage.as_slice::<f32>().unwrap().as_ptr()
    };
    let changed: Vec<&str> = original
        .unet_weights()
        .names()
        .filter(|name| address(&original, name) != address(&edited, name))
        .collect();
    let mut expected: Vec<String> = named("mask")
        .edits
        .iter()
        .map(|edit| match edit {
            Edit::Mask(edit) => edit.weight.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    expected.sort();
    assert_eq!(changed, expected);
}

#[test]
fn an_embedding_stands_for_its_prompt_only() {
    let original = pipeline();
    let edited = original.with_variant(&named("embedding")).unwrap();
    let for_all = original.with_variant(&named("embedding-for-all")).unwrap();
    let embed = |p: &Pipeline, prompt: &str| p.text_embeddings(prompt, Some("")).unwrap();
    let (house, car) = ("a photo of a red house", "a blue car");
    assert!(distance(&embed(&edited, house), &embed(&original, house)) > 0.1);
    assert_eq!(distance(&embed(&edited, car), &embed(&original, car)), 0.0);
    assert_eq!(distance(&embed(&for_all, car), &embed(&edited, house)), 0.0);
    // The last edit that fits holds.
    let mut both = named("embedding");
    let Edit::Embedding(mut zero) = named("embedding-for-all").edits.remove(0) else {
        unreachable!()
    };
    zero.embedding.values = vec![0.0; zero.embedding.values.len()].into();
    both.edits.push(Edit::Embedding(zero));
    let stacked = embed(&original.with_variant(&both).unwrap(), house);
    let conditional = stacked.narrow(0, 1, 1).unwrap();
    assert_eq!(distance(&conditional, &conditional.zeros_like().unwrap()), 0.0);
    assert_eq!(
        distance(
            &stacked.narrow(0, 0, 1).unwrap(),
            &embed(&original, house).narrow(0, 0, 1).unwrap()
        ),
        0.0,
        "the unconditional half is never replaced"
    );
}

#[test]
fn what_the_network_does_not_have_is_named() {
    let pipeline = pipeline();
    let refused = |edit: Edit| pipeline.with_variant(&one(edit)).err().unwrap().to_string();
    let mask = |weight: &str, shape: Vec<usize>| {
        let entries = vec![true; shape.iter().product()];
        Edit::Mask(MaskEdit {
            weight: weight.to_owned(),
            zero: BitMask::from_bools(shape, &entries).unwrap(),
            when: None,
        })
    };
    let embedding = |tokens: usize, width: usize| {
        Edit::Embedding(EmbeddingEdit {
            prompt: None,
            embedding: Embedding {
                tokens,
                width,
                values: vec![0.0; tokens * width].into(),
            },
        })
    };
    let bias = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.bias";
    for (edit, parts) in [
        (
            neurons(LayerRef::Index(7), &[0], 0.0),
            &["edit 1", "no layer 7", "0 to 3"][..],
        ),
        (
            neurons(LayerRef::Name("mid_block.attentions.1".into()), &[0], 0.0),
            &["no layer “mid_block.attentions.1”"],
        ),
        (
            neurons(LayerRef::Index(1), &[31, 32], 0.0),
            &[
                "no neuron 32",
                "layer 1",
                "mid_block.attentions.0.transformer_blocks.0 has neurons 0 to 31",
            ],
        ),
        (mask("lm_head.weight", vec![2]), &["no weight “lm_head.weight”"]),
        (mask(bias, vec![31]), &[bias, "[31]", "[32]"]),
        (embedding(77, 768), &["77 tokens × 768", "16 × 32"]),
        (
            neurons(LayerRef::Index(1), &[1], f32::INFINITY),
            &["factor is inf"],
        ),
    ] {
        let text = refused(edit);
        for part in parts {
            assert!(text.contains(part), "“{part}” is not in: {text}");
        }
    }
    // Names with the module's ending are fine, and so are all weights.
    let block = "mid_block.attentions.0.transformer_blocks.0";
    for name in [block.to_owned(), format!("{block}.attn2.to_v")] {
        pipeline
            .with_variant(&one(neurons(LayerRef::Name(name), &[0], 0.0)))
            .unwrap();
    }
    pipeline.with_variant(&one(mask(bias, vec![32]))).unwrap();
}

#[test]
fn a_variant_read_back_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join("variants")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let variant = read_variant(&path).unwrap();
            let copy = folder.path().join(path.file_name().unwrap());
            write_variant(&copy, &variant).unwrap();
            assert_eq!(read_variant(&copy).unwrap(), variant, "{}", path.display());
            assert_eq!(
                read_variant(&copy).unwrap().content_hash(),
                variant.content_hash()
            );
        }
    }
    let limited = named("neurons-limited");
    assert_eq!(
        limited.edits[1].when(),
        Some(When::Steps("2..6".parse().unwrap()))
    );
    assert_eq!(limited.base.name, "sd1 fixture");
    let text = fs::read_to_string(folder.path().join("neurons.toml")).unwrap();
    assert!(text.contains("factor = 0.3\n"), "{text}");
}

#[test]
fn mistakes_in_a_variant_file_are_named_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("variant.toml");
    for name in ["masks.safetensors", "embedding.safetensors"] {
        fs::copy(fixtures().join("variants").join(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("broken.safetensors"), b"not safetensors").unwrap();
    fs::write(folder.path().join("other.bin"), b"x").unwrap();
    let zeros = "0".repeat(64);
    let mask = "[[edit]]\nkind = \"mask\"\nweight = \"w\"\n";
    let neurons = "[[edit]]\nkind = \"neurons\"\nlayer = 0\nneurons = [1]\n";
    let cases: Vec<(String, Vec<&str>)> = vec![
        ("name = \"x\"".into(), vec!["format = 1"]),
        ("format = 2\nname = \"x\"".into(), vec!["newer version", "line 1"]),
        ("format = 1".into(), vec!["name is missing"]),
        ("format = 1\nname = \"\"".into(), vec!["line 2", "no name"]),
        ("format = 1\nname = \"x".into(), vec!["line 2"]),
        (
            "format = 1\nname = \"x\"\n[[edits]]\nkind = \"neurons\"".into(),
            vec!["line 3", "“edits” is unknown"],
        ),
        (head("[[edit]]\nlayer = 3"), vec!["line 3", "kind is missing"]),
        (head("[[edit]]\nkind = \"magic\""), vec!["line 4", "“magic”"]),
        (
            head(&format!("{neurons}stpes = \"0..3\"")),
            vec!["line 7", "“stpes” is unknown"],
        ),
        (
            head(&format!("{neurons}steps = \"3..3\"")),
            vec!["line 7", "“3..3”"],
        ),
        (
            head(&format!("{neurons}steps = \"0..3\"\ntimesteps = \"0..3\"")),
            vec!["cannot both"],
        ),
        (
            head(&format!("{neurons}factor = 1e9")),
            vec!["line 3", "factor is"],
        ),
        (
            head("[[edit]]\nkind = \"neurons\"\nlayer = 0\nneurons = [1, -2]"),
            vec!["line 6", "-2"],
        ),
        (
            head("[[edit]]\nkind = \"neurons\"\nlayer = 0\nneurons = []"),
            vec!["no neuron"],
        ),
        (
            head("[[edit]]\nkind = \"guidance\"\nstep = 3\ntimestep = 500"),
            vec!["exactly one of step"],
        ),
        (
            head("[[edit]]\nkind = \"guidance\"\nat = \"noon\""),
            vec!["line 5", "“noon”"],
        ),
        (
            head(&format!("{mask}file = \"../masks.safetensors\"")),
            vec!["line 6", "own folder"],
        ),
        (
            head(&format!("{mask}file = \"/etc/passwd\"")),
            vec!["line 6", "own folder"],
        ),
        (
            head(&format!("{mask}file = \"other.bin\"")),
            vec!["line 6", "own folder"],
        ),
        (
            head(&format!("{mask}file = \"absent.safetensors\"")),
            vec!["absent.safetensors", "not there"],
        ),
        (
            head(&format!("{mask}file = \"broken.safetensors\"")),
            vec!["broken.safetensors", "not a safetensors"],
        ),
        (
            head(&format!("{mask}file = \"masks.safetensors\"")),
            vec!["no tensor “w”"],
        ),
        (
            head(&format!("{mask}file = \"masks.safetensors\"\ntensor = \"down\"")),
            vec!["down holds a", "shape"],
        ),
        (
            head(&format!(
                "{mask}file = \"masks.safetensors\"\ntensor = \"down\"\nshape = [3, 5]"
            )),
            vec!["[3, 5] has 15 bits"],
        ),
        (
            head(&format!(
                "[files]\n\"masks.safetensors\" = \"{zeros}\"\n{mask}file = \"masks.safetensors\"\ntensor = \"down\""
            )),
            vec!["masks.safetensors", "SHA-256 differs"],
        ),
        (
            head("[files]\n\"m.safetensors\" = \"12\""),
            vec!["line 4", "64 hexadecimal"],
        ),
        (
            head("[[edit]]\nkind = \"embedding\"\nfile = \"masks.safetensors\"\ntensor = \"down\""),
            vec!["[tokens, width] is expected"],
        ),
    ];
    for (text, parts) in cases {
        fs::write(&path, &text).unwrap();
        let said = read_variant(&path).unwrap_err().to_string();
        for part in parts {
            assert!(said.contains(part), "“{part}” is not in: {said}\nof: {text}");
        }
    }
    fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    read_variant(&path).unwrap_err();
    let said = read_variant(folder.path()).unwrap_err().to_string();
    assert!(said.contains("not a file"), "{said}");
}

/// The first two lines of a good file, and more.
fn head(rest: &str) -> String {
    format!("format = 1\nname = \"x\"\n{rest}")
}

#[cfg(unix)]
#[test]
fn a_link_does_not_lead_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let secret = folder.path().join("secret.safetensors");
    fs::copy(fixtures().join("variants/embedding.safetensors"), &secret).unwrap();
    std::os::unix::fs::symlink(&secret, inside.join("embedding.safetensors")).unwrap();
    fs::copy(variant_file("embedding"), inside.join("variant.toml")).unwrap();
    let said = read_variant(&inside.join("variant.toml"))
        .unwrap_err()
        .to_string();
    assert!(said.contains("leads out"), "{said}");
}

#[test]
fn an_exported_checkpoint_gives_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut variant = named("mask");
    // Off and a power of two: exact in f16 as in f32.
    variant
        .edits
        .push(neurons(LayerRef::Index(0), &[0, 3, 9, 15], 0.0));
    variant.edits.push(neurons(LayerRef::Index(1), &[2], 0.5));
    let checkpoint = checkpoint();
    let drawn = trajectory(&pipeline().with_variant(&variant).unwrap());
    for (name, untouched) in [("copied", Untouched::Copy), ("linked", Untouched::Link)] {
        let out = folder.path().join(name);
        let exported = export(&checkpoint, &variant, &out, untouched).unwrap();
        assert_eq!(exported.weights.len(), 4);
        // The fixture's own reference lies where single-file checkpoints lie.
        assert_eq!(exported.left_out, [Path::new("reference.safetensors")]);
        let again = Pipeline::load(&Checkpoint::open(&out).unwrap(), &LoadOptions::default()).unwrap();
        assert_eq!(distance(&trajectory(&again), &drawn), 0.0, "{name}");
        let unet = "unet/diffusion_pytorch_model.safetensors";
        let (before, after) = (
            fs::read(checkpoint.root.join(unet)).unwrap(),
            fs::read(out.join(unet)).unwrap(),
        );
        assert_eq!(before.len(), after.len(), "element types and header stay");
        assert_ne!(before, after);
        let vae = "vae/diffusion_pytorch_model.safetensors";
        assert_eq!(
            fs::read(checkpoint.root.join(vae)).unwrap(),
            fs::read(out.join(vae)).unwrap()
        );
    }
    assert!(
        fs::read_dir(folder.path()).unwrap().count() == 2,
        "nothing is left behind"
    );
}

#[test]
fn sharded_and_stale_weights_are_exported_rightly() {
    let folder = tempfile::tempdir().unwrap();
    let sharded = Checkpoint::open(&fixtures().join("diffusion/sd2")).unwrap();
    let original = Pipeline::load(&sharded, &LoadOptions::default()).unwrap();
    let variant = one(neurons(LayerRef::Index(1), &[0, 1, 2, 3], 0.0));
    let out = folder.path().join("sd2");
    export(&sharded, &variant, &out, Untouched::Copy).unwrap();
    let exported = Pipeline::load(&Checkpoint::open(&out).unwrap(), &LoadOptions::default()).unwrap();
    let edited = original.with_variant(&variant).unwrap();
    for name in original.unet_weights().names() {
        let get = |p: &Pipeline| p.unet_weights().stored(name).unwrap().clone();
        assert_eq!(distance(&get(&exported), &get(&edited)), 0.0, "{name}");
    }

    // Files that hold the unedited UNet in another form stay behind.
    let source = folder.path().join("source");
    export(
        &checkpoint(),
        &one(neurons(LayerRef::Index(0), &[0], 1.0)),
        &source,
        Untouched::Copy,
    )
    .unwrap();
    for stale in [
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "v1-5-pruned.ckpt",
    ] {
        fs::write(source.join(stale), b"stale").unwrap();
    }
    fs::write(source.join("README.md"), b"kept").unwrap();
    let out = folder.path().join("clean");
    let source = Checkpoint::open(&source).unwrap();
    let exported = export(&source, &variant, &out, Untouched::Copy).unwrap();
    assert_eq!(exported.left_out.len(), 3, "{exported:?}");
    assert!(!out.join("unet/diffusion_pytorch_model.bin").exists() && out.join("README.md").exists());
}

#[test]
fn places_that_will_not_do_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("x"), b"x").unwrap();
    let variant = one(neurons(LayerRef::Index(0), &[0], 0.0));
    let said = |out: &Path| {
        export(&checkpoint(), &variant, out, Untouched::Copy)
            .unwrap_err()
            .to_string()
    };
    assert!(said(&full).contains("not empty"));
    assert!(said(&checkpoint().root.join("edited")).contains("inside the checkpoint"));
    assert!(!checkpoint().root.join("edited").exists());
    let misfit = one(neurons(LayerRef::Index(0), &[99], 0.0));
    let out = folder.path().join("never");
    let error = export(&checkpoint(), &misfit, &out, Untouched::Copy).unwrap_err();
    assert!(matches!(error, ExportError::Variant(_)) && !out.exists());
}

#[test]
fn half_precision_weights_are_edited_too() {
    let options = LoadOptions {
        dtype: DType::F16,
        ..LoadOptions::default()
    };
    let half = Pipeline::load(&checkpoint(), &options).unwrap();
    let edited = half.with_variant(&named("neurons")).unwrap();
    let name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight";
    let rows = |p: &Pipeline| -> Vec<Vec<f32>> {
        let weight = p.unet_weights().get(name).unwrap();
        weight.to_dtype(DType::F32).unwrap().to_vec2().unwrap()
    };
    for (row, (before, after)) in rows(&half).iter().zip(rows(&edited)).enumerate() {
        let factor = if [1, 2, 30].contains(&row) { 0.3 } else { 1.0 };
        for (b, a) in before.iter().zip(after) {
            assert!(
                (b * factor - a).abs() <= 1e-3 * b.abs(),
                "row {row}: {b} became {a}"
            );
        }
    }
    edited.sample(&request(), &mut Silent).unwrap();
}

#[test]
fn a_guidance_schedule_needs_no_guidance_in_the_run() {
    let schedule = Edit::Guidance(GuidanceSchedule {
        before: 0.0,
        transition: Transition::Step(4),
    });
    let edited = pipeline().with_variant(&one(schedule)).unwrap();
    let mut unguided = request();
    unguided.sampling.guidance = 1.0;
    let mut trace = Trace::default();
    edited.sample(&unguided, &mut trace).unwrap();
    // Before the transition the prompt plays no part.
    let mut other = Trace::default();
    let mut another = unguided.clone();
    another.prompt = "a blue car".to_owned();
    edited.sample(&another, &mut other).unwrap();
    for step in 0..4 {
        assert_eq!(distance(&trace.0[step], &other.0[step]), 0.0, "step {step}");
    }
    assert!(distance(&trace.0[9], &other.0[9]) > 1e-3);
}
