//! Where the threshold comes from: how similar the noise differences of prompts are that nobody memorized.

use super::{Convention, NoiseProbe, NoiseSettings, pairwise};
use crate::{
    diffusion::Pipeline,
    mitigation::{MitigationError, Progress, Watch},
};

/// Name of what is kept while calibrating.
const CALIBRATION: &str = "calibration";

/// Pairwise similarities of unmemorized prompts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// For each prompt, the similarity of every two samples.
    pub pairwise: Vec<Vec<f64>>,
}

impl Calibration {
    /// Guidance with which NeMo's code calibrates; it searches without.
    pub const GUIDANCE: f32 = 7.0;

    /// The settings of NeMo's calibration, halves in the order of its code.
    pub fn reference_settings() -> NoiseSettings {
        NoiseSettings {
            guidance: Self::GUIDANCE,
            convention: Convention::Reference,
            ..NoiseSettings::default()
        }
    }

    /// Mean over all pairs of all prompts.
    pub fn mean(&self) -> f64 {
        let n = self.pairwise.iter().map(Vec::len).sum::<usize>();
        self.pairwise.iter().flatten().sum::<f64>() / n as f64
    }

    /// Standard deviation over all pairs of all prompts, unbiased.
    pub fn deviation(&self) -> f64 {
        let (n, mean) = (self.pairwise.iter().map(Vec::len).sum::<usize>(), self.mean());
        let squares: f64 = self.pairwise.iter().flatten().map(|v| (v - mean).powi(2)).sum();
        (squares / (n as f64 - 1.0)).sqrt()
    }

    /// NeMo's threshold: mean plus one standard deviation (0.428 for Stable Diffusion 1.4).
    pub fn threshold(&self) -> f64 {
        self.mean() + self.deviation()
    }
}

/// Measures the similarities of prompts that are not memorized.
///
/// # Errors
/// No prompt, sizes the network does not allow; [`MitigationError::Stopped`].
pub fn calibrate(
    pipeline: &Pipeline,
    prompts: &[&str],
    size: (u32, u32),
    settings: NoiseSettings,
    watch: &mut dyn Watch,
) -> Result<Calibration, MitigationError> {
    if prompts.is_empty() || settings.samples < 2 {
        return Err(MitigationError::Request(
            "a calibration needs at least one prompt that is not memorized, and two samples".to_owned(),
        ));
    }
    let mut found = Calibration::default();
    let every: Vec<usize> = (0..settings.samples).collect();
    if let Some(kept) = watch.kept(CALIBRATION) {
        let pairs = settings.samples * (settings.samples - 1) / 2;
        let list = |i: usize| kept.lists.get(&i.to_string()).filter(|l| l.len() == pairs);
        found.pairwise = (0..prompts.len()).map_while(|i| list(i).cloned()).collect();
    }
    for (i, prompt) in prompts.iter().enumerate().skip(found.pairwise.len()) {
        watch.at(i as f64, prompts.len() as f64);
        let probe = NoiseProbe::new(pipeline, prompt, size, settings)?;
        found
            .pairwise
            .push(pairwise(&probe.differences(pipeline, &every, watch)?)?);
        let lists = found.pairwise.iter().enumerate();
        let lists = lists.map(|(i, list)| (i.to_string(), list.clone())).collect();
        watch.keep(CALIBRATION, &Progress { lists })?;
    }
    Ok(found)
}
