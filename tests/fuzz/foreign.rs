//! The readers of what other programs of the field write, of what is pushed over the socket, and of published weights.

use super::readers::{Reader, alone, among, file, root};
use pentimento::{
    diffusion::{Checkpoint, LoadOptions, Pipeline},
    embedding::Embedder,
    gallery, live,
    mitigation::{
        cluster_neurons::read_npz,
        neurons::{ActivationStatistics, ValueLayers, parse_lists, read_results},
    },
    segmentation::Segmenter,
    store::{ImportNames, NamePattern, read_clusters, read_labels, read_signal_maps, signal_maps_bytes},
    study::{LatentMap, SignalMaps},
};
use std::path::Path;

const DINOV2: &str = "tests/fixtures/embedding/dinov2";
const CLIP: &str = "tests/fixtures/embedding/clip";

fn value_layers() -> ValueLayers {
    let checkpoint = Checkpoint::open(&root().join("tests/fixtures/mitigation/unet7")).unwrap();
    let pipeline = Pipeline::load(&checkpoint, &LoadOptions::default()).unwrap();
    ValueLayers::of(&pipeline).unwrap()
}

fn maps() -> Vec<u8> {
    let map = LatentMap {
        width: 3,
        height: 2,
        values: vec![0.0, 0.25, 0.5, 1.0, 2.0, 4.0],
    };
    let maps = SignalMaps {
        ending: Some(map.clone()),
        difference: Some(map),
    };
    signal_maps_bytes(&maps).unwrap()
}

pub fn all() -> Vec<Reader> {
    let reader = |name, slow, seeds, read| Reader {
        name,
        slow,
        seeds,
        read,
    };
    let lines = |text: &str| vec![text.as_bytes().to_vec()];
    let layers = value_layers();
    let results = "Caption,URL,Initial Neurons,Initial Max SSIM,Refined Neurons,Refined Max SSIM\n\
                   a,u,\"[[1, 2], [], [3]]\",0.7,\"[[1], [], []]\",0.4\n";
    let pushed = [
        "{\"prompt\":\"a\",\"seed\":3,\"bytes\":2,\"noise_norm\":[1,2.5]}\nPN",
        "{\"prompt\":\"a\",\"seed\":3,\"bytes\":1,\"step\":2,\"steps\":9,\"noise_norm\":0.5}\nX\
         {\"prompt\":\"b\",\"seed\":4,\"bytes\":3}\nabc",
    ];
    vec![
        reader(
            "npz",
            1,
            vec![file("tests/fixtures/mitigation/neurons_cluster_0.npz")],
            alone("neurons.npz", move |p| drop(read_npz(p, &layers))),
        ),
        reader(
            "statistics",
            1,
            vec![file("tests/fixtures/mitigation/statistics.pt")],
            alone("statistics.pt", |p| drop(ActivationStatistics::read(p))),
        ),
        reader(
            "neuron-results",
            1,
            lines(results),
            alone("results.csv", |p| drop(read_results(p))),
        ),
        reader("neuron-lists", 1, lines("[[1, 2], [], [3]]"), {
            Box::new(|_, bytes| drop(parse_lists(&String::from_utf8_lossy(bytes))))
        }),
        reader(
            "labels",
            1,
            lines("image,label\nimg_0003_01.png,VM\nimg_0004_00.png,NM\n"),
            alone("labels.csv", |p| drop(read_labels(p))),
        ),
        reader(
            "prompt-clusters",
            1,
            lines("index,cluster\n3,0\n4,1\n"),
            alone("clusters.csv", |p| drop(read_clusters(p))),
        ),
        reader(
            "name-table",
            1,
            lines("file,prompt,seed\na.png,a red house,3\nb.png,7,0\n"),
            {
                alone("names.csv", |p| {
                    if let Ok((names, _)) = ImportNames::Table(p.to_owned()).resolve() {
                        names.plan(&["a.png".into(), "b.png".into()], &[]);
                    }
                })
            },
        ),
        reader("name-pattern", 1, lines("*_{text}-{seed}\na_b-7"), {
            Box::new(|_, bytes| {
                let text = String::from_utf8_lossy(bytes);
                let (pattern, name) = text.split_once('\n').unwrap_or((&text, "img_0003_01"));
                if let Ok(pattern) = NamePattern::parse(pattern) {
                    pattern.read(name);
                }
            })
        }),
        reader("pushed", 1, pushed.map(|text| text.as_bytes().to_vec()).into(), {
            Box::new(|_, bytes| {
                live::read_messages(&mut &bytes[..], |message| {
                    if let live::Message::Picture(pushed) = message {
                        gallery::decode_rgb_bytes(Path::new("the picture"), &pushed.file).ok();
                    }
                })
                .ok();
            })
        }),
        reader(
            "signal-maps",
            1,
            vec![maps()],
            alone("img_0000_00.safetensors", |p| drop(read_signal_maps(p))),
        ),
        reader(
            "onnx",
            8,
            vec![file("tests/fixtures/segmentation/birefnet.onnx")],
            alone("small.onnx", |p| drop(Segmenter::open(p))),
        ),
        reader(
            "sscd-weights",
            8,
            vec![file("tests/fixtures/embedding/sscd.pt")],
            alone("sscd.pt", |p| drop(Embedder::open(p))),
        ),
        reader(
            "dinov2-config",
            8,
            vec![file("tests/fixtures/embedding/dinov2/config.json")],
            among(DINOV2, "config.json", |p| drop(Embedder::open(p))),
        ),
        reader(
            "clip-config",
            8,
            vec![file("tests/fixtures/embedding/clip/config.json")],
            among(CLIP, "config.json", |p| drop(Embedder::open(p))),
        ),
    ]
}
