//! Single passes through the networks of a checkpoint, one per line of standard input, so that another program can
//! measure its own passes in between: `tools/bench/against_diffusers.py` does that with PyTorch.
//!
//! A line is `unet SIDE BATCH` or `vae SIDE BATCH` (side of the latents), or `picture STEPS`; the answer is its wall time
//! and its CPU time in milliseconds.

use candle_core::{Device, Tensor};
use pentimento::{
    diffusion::{InitialNoise, Pipeline, SampleRequest, Silent},
    study::Sampling,
};
use rayon::ThreadPool;
use std::{
    error::Error,
    io::{BufRead, Write},
    time::Instant,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// User and system time of this process in seconds; 0 where it is not told.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |i: usize| {
        after
            .split_whitespace()
            .nth(i)
            .and_then(|v| v.parse::<f64>().ok())
    };
    // Fields 14 and 15 of proc(5), counted from behind the name; Linux reports hundredths of a second.
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn run(pipeline: &Pipeline, context: &Tensor, line: &str) -> Outcome<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |i: usize| words.get(i).and_then(|w| w.parse::<usize>().ok()).unwrap_or(1);
    let latents = |side: usize, batch: usize| -> Outcome<Tensor> {
        let channels = pipeline.unet().config().in_channels;
        Ok(Tensor::randn(
            0f32,
            1.0,
            (batch, channels, side, side),
            &Device::Cpu,
        )?)
    };
    match words.first() {
        Some(&"unet") => {
            let batch = number(2);
            let context = context.repeat((batch, 1, 1))?;
            pipeline.predict(&latents(number(1), batch)?, 481.0, &context)?;
        }
        Some(&"vae") => {
            pipeline.decode(&latents(number(1), number(2))?)?;
        }
        Some(&"picture") => {
            let side = (pipeline.vae().config().factor() * pipeline.unet().config().sample_size.0) as u32;
            let request = SampleRequest {
                prompt: "a house".to_owned(),
                sampling: Sampling {
                    steps: number(1) as u32,
                    width: side,
                    height: side,
                    ..Sampling::default()
                },
                noise: InitialNoise::Seeds(vec![0]),
            };
            pipeline.sample(&request, &mut Silent)?;
        }
        _ => return Err(format!("“{line}” is no unet, vae or picture").into()),
    }
    Ok(())
}

/// Answers the lines of standard input.
pub fn serve(pipeline: &Pipeline, pool: &ThreadPool) -> Outcome<()> {
    let context = pipeline.encode_prompts(&["a house"])?;
    println!("ready {}", pipeline.unet().config().sample_size.0);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (start, cpu) = (Instant::now(), cpu_seconds());
        pool.install(|| run(pipeline, &context, &line))?;
        let wall = start.elapsed().as_secs_f64() * 1e3;
        println!("{wall:.1} {:.1}", (cpu_seconds() - cpu) * 1e3);
        std::io::stdout().flush()?;
    }
    Ok(())
}
