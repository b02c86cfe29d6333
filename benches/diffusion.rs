//! Time of a whole generation: `PENTIMENTO_MODEL=DIR cargo bench --bench diffusion`.
//!
//! Prints wall time, the minimum of several runs. `PENTIMENTO_THREADS`, `PENTIMENTO_STEPS` and
//! `PENTIMENTO_SEEDS` change the setting; `PENTIMENTO_OUT` names a folder for the pictures and `sample.safetensors`.

use pentimento::{
    diffusion::{Checkpoint, InitialNoise, LoadOptions, Observer, Pipeline, SampleRequest, Silent, Step},
    study::Sampling,
};
use std::{collections::HashMap, env, error::Error, ops::ControlFlow, path::Path, time::Instant};

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

fn setting(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Ok(model) = env::var("PENTIMENTO_MODEL") else {
        println!("PENTIMENTO_MODEL is not set; nothing to measure");
        return Ok(());
    };
    let checkpoint = Checkpoint::open(Path::new(&model))?;
    println!("{}", checkpoint.summary());
    let start = Instant::now();
    let pipeline = Pipeline::load(&checkpoint, &LoadOptions::default())?;
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

    let threads = setting("PENTIMENTO_THREADS", 2) as usize;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let context = pipeline.encode_prompts(&["", request.prompt.as_str()])?;
    let input = noise.narrow(0, 0, 1)?.repeat((2, 1, 1, 1))?;
    let repeat = setting("PENTIMENTO_REPEAT", 10);
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
