//! Time of a whole generation: `PENTIMENTO_MODEL=DIR cargo bench --bench diffusion`; the demo's checkpoint when no
//! model is named. With the argument `passes` it measures what standard input asks for instead (see `passes`).
//!
//! Prints wall time, the minimum of several runs; for probes the ratio to a pass without, all measured in turn; and how
//! long switching to a variant takes. `PENTIMENTO_THREADS`, `PENTIMENTO_STEPS`,
//! `PENTIMENTO_SEEDS` and `PENTIMENTO_WEIGHTS` (auto, as-stored, widened) change the setting; `PENTIMENTO_OUT` names a folder for the pictures and `sample.safetensors`.

mod passes;

use candle_core::Tensor;
use pentimento::{
    diffusion::{
        Checkpoint, InitialNoise, LayerSet, LoadOptions, Observer, Pipeline, ProbeSet, SampleRequest, Silent,
        Step, Tap, WeightStorage,
    },
    study::{BitMask, Edit, LayerRef, MaskEdit, NeuronEdit, Sampling, Variant},
};
use std::{
    collections::HashMap, env, error::Error, hint::black_box, ops::ControlFlow, path::Path, time::Instant,
};

struct Previews<'a>(&'a Pipeline, Vec<image::RgbImage>);

impl Observer for Previews<'_> {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self.1.extend(
            self.0
                .preview(step.predicted_original)
                .into_iter()
                .flatten()
                .take(1),
        );
        ControlFlow::Continue(())
    }
}

/// Asks for views and looks at none.
struct Looker(ProbeSet);

impl Observer for Looker {
    fn step(&mut self, _: &Step<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn probe(&self) -> ProbeSet {
        self.0.clone()
    }
}

/// Passes through the network with probes off, on one layer (each in turn of the list) and on all, alternated.
fn probes(pipeline: &Pipeline, input: &Tensor, context: &Tensor, rounds: u64) -> candle_core::Result<()> {
    let layers = pipeline.unet().config().transformer_blocks().len();
    let one = |place| ProbeSet {
        layers: LayerSet::only([place]),
        ..ProbeSet::all()
    };
    let mut sets = vec![("off".to_owned(), ProbeSet::none())];
    sets.extend([0, layers / 2, layers - 1].map(|place| (format!("layer {place}"), one(place))));
    sets.push(("all".to_owned(), ProbeSet::all()));
    let mut least = vec![f64::INFINITY; sets.len()];
    for _ in 0..rounds {
        for ((_, set), least) in sets.iter().zip(&mut least) {
            let mut looker = Looker(set.clone());
            let start = Instant::now();
            let tap = Tap::new(&mut looker, 0, 481.0, true);
            black_box(
                pipeline
                    .unet()
                    .forward(input, 481.0, context, pipeline.compute(), tap)?,
            );
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    for ((name, _), time) in sets.iter().zip(&least) {
        println!(
            "probe {name:9} {:8.1} ms, {:.3} × off",
            time * 1e3,
            time / least[0]
        );
    }
    Ok(())
}

/// Switching to a variant: value neurons of all layers, and masks of all `ff.net.2`.
fn variants(pipeline: &Pipeline, rounds: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    let blocks = pipeline.unet().config().transformer_blocks();
    let neurons = (0..blocks.len() as u32).map(|layer| {
        Edit::Neurons(NeuronEdit {
            layer: LayerRef::Index(layer),
            neurons: (0..8).collect(),
            factor: 0.0,
            when: None,
        })
    });
    let mut masks = Vec::new();
    for block in &blocks {
        let weight = format!("{block}.ff.net.2.weight");
        let shape = pipeline.unet_weights().stored(&weight).map(|t| t.dims().to_vec());
        let shape = shape.ok_or("a feed-forward is missing")?;
        let entries: Vec<bool> = (0..shape.iter().product()).map(|i: usize| i % 100 == 7).collect();
        masks.push(Edit::Mask(MaskEdit {
            weight,
            zero: BitMask::from_bools(shape, &entries)?,
            when: None,
        }));
    }
    for (name, edits) in [("neurons", neurons.collect()), ("masks", masks)] {
        let variant = Variant {
            name: name.to_owned(),
            edits,
            ..Variant::default()
        };
        let mut least = f64::INFINITY;
        for _ in 0..rounds {
            let start = Instant::now();
            black_box(pipeline.with_variant(&variant)?);
            least = least.min(start.elapsed().as_secs_f64());
        }
        println!(
            "switch, {name:7} {:8.1} ms for {} edits",
            least * 1e3,
            variant.edits.len()
        );
    }
    Ok(())
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

fn main() -> Result<(), Box<dyn Error>> {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/model");
    let model = env::var("PENTIMENTO_MODEL").unwrap_or_else(|_| demo.to_owned());
    let checkpoint = Checkpoint::open(Path::new(&model))?;
    let options = LoadOptions {
        storage: env::var("PENTIMENTO_WEIGHTS").map_or(Ok(WeightStorage::Auto), |name| name.parse())?,
        ..LoadOptions::default()
    };
    let threads = setting("PENTIMENTO_THREADS", 2) as usize;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    if env::args().any(|argument| argument == "passes") {
        let pipeline = Pipeline::load(&checkpoint, &options)?;
        return passes::serve(&pipeline, &pool).map_err(|e| e.to_string().into());
    }
    println!("{}", checkpoint.summary());
    let start = Instant::now();
    let pipeline = Pipeline::load(&checkpoint, &options)?;
    println!("load            {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let (width, height) = checkpoint.default_size();
    let request = SampleRequest {
        prompt: env::var("PENTIMENTO_PROMPT").unwrap_or_else(|_| "a house".to_owned()),
        sampling: Sampling {
            steps: setting("PENTIMENTO_STEPS", 25) as u32,
            width,
            height,
            ..Sampling::default()
        },
        noise: InitialNoise::Seeds((0..setting("PENTIMENTO_SEEDS", 1)).collect()),
    };
    let noise = pipeline.initial_noise(&request)?;
    pipeline.preview(&noise)?;
    println!("preview fit     {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);

    let context = pipeline.encode_prompts(&["", request.prompt.as_str()])?;
    let input = noise.narrow(0, 0, 1)?.repeat((2, 1, 1, 1))?;
    let repeat = setting("PENTIMENTO_REPEAT", 10);
    pool.install(|| variants(&pipeline, repeat))
        .map_err(|e| e.to_string())?;
    let best = |name: &str, f: &dyn Fn() -> Result<(), Box<dyn Error + Send + Sync>>| {
        let mut least = f64::INFINITY;
        for _ in 0..repeat {
            let start = Instant::now();
            if let Err(e) = f() {
                println!("{name}: {e}");
                return;
            }
            least = least.min(start.elapsed().as_secs_f64());
        }
        println!("{name:15} {:8.1} ms on {threads} threads", least * 1e3);
    };
    best("unet, batch 2", &|| {
        pool.install(|| pipeline.predict(&input, 481.0, &context))?;
        Ok(())
    });
    pool.install(|| probes(&pipeline, &input, &context, repeat))?;
    best("vae decode", &|| {
        pool.install(|| pipeline.decode(&noise.narrow(0, 0, 1)?))?;
        Ok(())
    });
    best("whole picture", &|| {
        pool.install(|| pipeline.sample(&request, &mut Silent))?;
        Ok(())
    });

    if let Ok(out) = env::var("PENTIMENTO_OUT") {
        let out = Path::new(&out);
        let mut previews = Previews(&pipeline, Vec::new());
        let sample = pipeline.sample(&request, &mut previews)?;
        for (i, picture) in sample.images.iter().enumerate() {
            picture.save(out.join(format!("picture_{i}.png")))?;
        }
        for (i, preview) in previews.1.iter().enumerate() {
            preview.save(out.join(format!("preview_{i:02}.png")))?;
        }
        let tensors = HashMap::from([("image", sample.decoded), ("latents", sample.latents)]);
        candle_core::safetensors::save(&tensors, out.join("sample.safetensors"))?;
    }
    Ok(())
}
