//! Wanda as a job.

use super::{Ending, Search};
use crate::mitigation::pruning::{self, PruningSettings};

impl Search<'_> {
    pub(super) fn wanda(&mut self, settings: &PruningSettings, base: &[String]) -> Result<(), Ending> {
        let settings = PruningSettings {
            sampling: self.job.sampling.clone(),
            ..settings.clone()
        };
        let target: Vec<&str> = self.job.prompts.iter().map(|p| p.text.as_str()).collect();
        let empty = vec![String::new(); target.len()];
        let base = if base.is_empty() { &empty } else { base };
        let base: Vec<&str> = base.iter().map(String::as_str).collect();
        let pruned = pruning::prune(self.pipeline, &target, &base, &settings, &mut self.watch)?;
        let mut densities = Vec::new();
        for layer in &pruned.layers {
            let steps: Vec<String> = layer
                .per_step
                .iter()
                .map(|d| format!("{:.2}", 100.0 * d))
                .collect();
            let name = layer.weight.trim_end_matches(".weight");
            self.found.lines.push(format!(
                "{name}: {:.3} % of its weights (each step: {} %)",
                100.0 * layer.density,
                steps.join(" ")
            ));
            densities.push(format!("{name} {:.3} %", 100.0 * layer.density));
        }
        let note = format!(
            "Wanda, {} prompts, skill ratio {}, first {} of {} steps, select ratio {}, guidance {}, seed {}; density: {}",
            target.len(),
            settings.skill_ratio,
            settings.steps,
            settings.sampling.steps,
            settings.select_ratio,
            settings.sampling.guidance,
            settings.seed,
            densities.join(", ")
        );
        self.keep(self.job.name.clone(), note, pruned.edits())
    }
}
