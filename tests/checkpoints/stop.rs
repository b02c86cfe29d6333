//! Stopping passes through the networks.

use candle_core::{DType, Device, Tensor};
use pentimento::{
    diffusion::{Checkpoint, DiffusionError, InitialNoise, LoadOptions, Pipeline, SampleRequest, Silent},
    study::Sampling,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn load(path: &Path) -> Pipeline {
    Pipeline::load(&Checkpoint::open(path).unwrap(), &LoadOptions::default()).unwrap()
}

/// How long `work` goes on after it was told to stop, `after` its begin; `None` when it was done before.
fn delay<T>(
    pipeline: &Pipeline,
    after: Duration,
    work: &(dyn Fn(&Pipeline) -> Result<T, DiffusionError> + Sync),
) -> Option<Duration> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = pipeline.until(stop.clone());
    thread::scope(|scope| {
        let asked = scope.spawn(move || {
            thread::sleep(after);
            stop.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let result = work(&stopped);
        let ended = Instant::now();
        let asked = asked.join().unwrap();
        match result {
            Err(DiffusionError::Stopped) => Some(ended.saturating_duration_since(asked)),
            Err(other) => panic!("{other}"),
            Ok(_) => None,
        }
    })
}

#[test]
fn every_network_stops_when_told_and_can_be_used_again() {
    let pipeline = load(&super::root("sd1"));
    let stop = Arc::new(AtomicBool::new(true));
    let stopped = pipeline.until(stop.clone());
    let request = SampleRequest {
        prompt: "a house".to_owned(),
        sampling: Sampling {
            steps: 3,
            width: 64,
            height: 64,
            ..Sampling::default()
        },
        noise: InitialNoise::Seeds(vec![0]),
    };
    let context = pipeline.encode_prompts(&["a house"]).unwrap();
    let noise = pipeline.initial_noise(&request).unwrap();
    for kernels in [
        pentimento::diffusion::Kernels::Fast,
        pentimento::diffusion::Kernels::Plain,
    ] {
        let stopped = stopped.with_kernels(kernels);
        let told = |error: Option<DiffusionError>| matches!(error, Some(DiffusionError::Stopped));
        assert!(told(stopped.encode_prompts(&["a house"]).err()));
        assert!(told(stopped.predict(&noise, 481.0, &context).err()));
        assert!(told(stopped.decode(&noise).err()));
        assert!(told(stopped.preview(&noise).err()));
        assert!(told(stopped.sample(&request, &mut Silent).err()));
    }
    stop.store(false, Ordering::Relaxed);
    let (again, whole) = (
        stopped.sample(&request, &mut Silent).unwrap(),
        pipeline.sample(&request, &mut Silent).unwrap(),
    );
    assert_eq!(again.images, whole.images);
}

#[test]
fn a_stop_acts_inside_a_step() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/model");
    let pipeline = load(&demo);
    let context = pipeline.encode_prompts(&["a house"]).unwrap();
    let latents = Tensor::zeros(
        (1, pipeline.unet().config().in_channels, 96, 96),
        DType::F32,
        &Device::Cpu,
    )
    .unwrap();
    let pass = |pipeline: &Pipeline| pipeline.predict(&latents, 481.0, &context);
    pass(&pipeline).unwrap();
    let start = Instant::now();
    pass(&pipeline).unwrap();
    let whole = start.elapsed();
    // Layers take far less than a third of the pass; a busy machine may lengthen any one of them once.
    let least = (0..5)
        .filter_map(|_| delay(&pipeline, whole / 10, &pass))
        .min()
        .unwrap();
    assert!(
        least < whole / 3,
        "stopped after {least:?}; a whole pass takes {whole:?}"
    );
}

/// How fast a stop acts on a checkpoint of SD 1.5's size (`tools/fixtures/sd15_random.py OUT`), 512² pictures:
/// `PENTIMENTO_LARGE=OUT cargo test --release --test checkpoints stop -- --ignored --nocapture`.
#[test]
#[ignore = "needs 2 GB of weights and minutes"]
fn a_large_checkpoint_stops_at_once() {
    let pipeline = load(Path::new(&std::env::var("PENTIMENTO_LARGE").unwrap()));
    let context = pipeline.encode_prompts(&["", "a house"]).unwrap();
    let latents = Tensor::zeros((2, 4, 64, 64), DType::F32, &Device::Cpu).unwrap();
    let one = latents.narrow(0, 0, 1).unwrap();
    let unet = |pipeline: &Pipeline| pipeline.predict(&latents, 481.0, &context);
    let vae = |pipeline: &Pipeline| pipeline.decode(&one);
    let text = |pipeline: &Pipeline| pipeline.encode_prompts(&["", "a house"]);
    type Part<'a> = &'a (dyn Fn(&Pipeline) -> Result<Tensor, DiffusionError> + Sync);
    let all: [(&str, Part<'_>); 3] = [("text encoder", &text), ("UNet", &unet), ("VAE", &vae)];
    for (name, work) in all {
        let start = Instant::now();
        work(&pipeline).unwrap();
        let whole = start.elapsed();
        let delays: Vec<Duration> = (0..6u32)
            .filter_map(|i| delay(&pipeline, whole * (2 * i + 1) / 12, work))
            .collect();
        let longest = delays.iter().max().copied().unwrap_or_default();
        let mean = delays.iter().sum::<Duration>() / delays.len().max(1) as u32;
        println!("{name}: whole {whole:.2?}; stopped within {longest:.2?}, {mean:.2?} on average");
        assert!(longest < Duration::from_secs(2), "{delays:?}");
    }
}
