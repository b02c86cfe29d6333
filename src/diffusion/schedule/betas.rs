//! How much noise each training step adds.

use crate::diffusion::ScheduleConfig;

/// How much noise each training step adds.
#[derive(Clone, Debug, PartialEq)]
pub enum BetaSchedule {
    /// Equally spaced.
    Linear {
        /// First β.
        start: f64,
        /// Last β.
        end: f64,
    },
    /// Equally spaced in √β: that of Stable Diffusion.
    ScaledLinear {
        /// First β.
        start: f64,
        /// Last β.
        end: f64,
    },
    /// Squared cosine (Nichol and Dhariwal, 2021).
    SquaredCosine,
    /// Listed in the file.
    Given(Vec<f32>),
}

/// ᾱ per training step. `zero_terminal_snr` rescales β so that the last step is pure noise.
pub(super) fn alphas(config: &ScheduleConfig, zero_terminal_snr: bool) -> Vec<f32> {
    let mut betas = betas(&config.betas, config.train_steps);
    if zero_terminal_snr {
        betas = rescaled(&betas);
    }
    cumulative(&betas)
}

fn betas(schedule: &BetaSchedule, train: usize) -> Vec<f32> {
    match schedule {
        BetaSchedule::Linear { start, end } => linspace(*start as f32, *end as f32, train),
        BetaSchedule::ScaledLinear { start, end } => linspace(start.sqrt() as f32, end.sqrt() as f32, train)
            .into_iter()
            .map(|b| b * b)
            .collect(),
        BetaSchedule::SquaredCosine => {
            let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            let n = train as f64;
            (0..train)
                .map(|i| (1.0 - bar((i + 1) as f64 / n) / bar(i as f64 / n)).min(0.999) as f32)
                .collect()
        }
        BetaSchedule::Given(betas) => betas.clone(),
    }
}

/// `torch.linspace` in f32: the second half is counted back from the end.
pub(super) fn linspace(start: f32, end: f32, count: usize) -> Vec<f32> {
    if count == 1 {
        return vec![start];
    }
    let step = (end - start) / (count - 1) as f32;
    (0..count)
        .map(|i| {
            if i < count / 2 {
                start + step * i as f32
            } else {
                end - step * (count - 1 - i) as f32
            }
        })
        .collect()
}

/// ᾱ: products of 1 − β, accumulated in f64 and rounded to f32, as `torch.cumprod`.
fn cumulative(betas: &[f32]) -> Vec<f32> {
    let step = |product: &mut f64, beta: &f32| {
        *product *= f64::from(1.0 - beta);
        Some(*product as f32)
    };
    betas.iter().scan(1.0, step).collect()
}

/// Algorithm 1 of Lin et al. (2305.08891).
fn rescaled(betas: &[f32]) -> Vec<f32> {
    let mut roots: Vec<f32> = cumulative(betas).into_iter().map(f32::sqrt).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else {
        return Vec::new();
    };
    let scale = first / (first - last);
    for root in &mut roots {
        *root = (*root - last) * scale;
    }
    let bars: Vec<f32> = roots.iter().map(|r| r * r).collect();
    let rest = bars.windows(2).map(|pair| 1.0 - pair[1] / pair[0]);
    std::iter::once(1.0 - bars[0]).chain(rest).collect()
}
