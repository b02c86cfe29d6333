//! NeMo as a job: statistics, a search for each prompt, the neurons of all of them or of each cluster.

use super::{Ending, Grouping, NemoJob, Search, StatisticsSource, clusters::group, journal::Journal};
use crate::mitigation::{
    MitigationError, cluster_neurons,
    neurons::{self, ActivationStatistics, Calibration, Located, NemoSettings, NeuronRow, ValueLayers},
};
use std::{collections::HashMap, sync::Arc};

impl Search<'_> {
    pub(super) fn nemo(&mut self, job: &NemoJob) -> Result<(), Ending> {
        let layers = ValueLayers::of(self.pipeline)?;
        if let Some(Grouping { how, ask }) = &job.clusters {
            let texts: Vec<&str> = self.job.prompts.iter().map(|p| p.text.as_str()).collect();
            self.found.grouped = Some(Arc::new(group(self.pipeline, &texts, how, ask)?));
        }
        let mut settings = job.settings;
        if let Some((prompts, noise)) = &job.calibrate {
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            let calibration =
                neurons::calibrate(self.pipeline, &prompts, self.size(), *noise, &mut self.watch)?;
            self.take_thresholds(&calibration, &mut settings);
        }
        let statistics = match &job.statistics {
            StatisticsSource::Given(statistics) => statistics.clone(),
            StatisticsSource::Measure(prompts) => {
                let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
                Arc::new(ActivationStatistics::measure(
                    self.pipeline,
                    &prompts,
                    &mut self.watch,
                )?)
            }
        };
        let searches = self
            .job
            .prompts
            .iter()
            .any(|p| !job.known.iter().any(|k| k.caption == p.text));
        if searches {
            statistics
                .check(&layers.widths())
                .map_err(MitigationError::Request)?;
        }
        self.found.statistics = Some(statistics.clone());
        let journal = Journal::open(job.journal.as_deref(), &self.base, &settings, &statistics)?;
        let mut known: HashMap<&str, &NeuronRow> = journal
            .rows
            .iter()
            .map(|row| (row.caption.as_str(), row))
            .collect();
        known.extend(job.known.iter().map(|row| (row.caption.as_str(), row)));
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            let row = match known.get(prompt.text.as_str()) {
                Some(row) => {
                    layers
                        .check(&row.refined)
                        .map_err(|reason| MitigationError::Request(format!("“{}”: {reason}", row.caption)))?;
                    NeuronRow::clone(row)
                }
                None => {
                    let size = self.size();
                    let located = neurons::locate(
                        self.pipeline,
                        &prompt.text,
                        size,
                        &statistics,
                        &settings,
                        &mut self.watch,
                    )?;
                    NeuronRow::new(&prompt.text, &located)
                }
            };
            self.found.lines.push(line_of(&row));
            self.found.rows.push(row);
            journal.write(&self.found.rows)?;
        }
        self.neuron_variants(job, &layers, &settings)
    }

    fn take_thresholds(&mut self, calibration: &Calibration, settings: &mut NemoSettings) {
        let threshold = calibration.threshold();
        (settings.pairwise, settings.initial, settings.refinement) = (threshold, threshold, threshold);
        self.found.lines.push(format!(
            "calibration over {} prompts: mean {:.4}, deviation {:.4}, threshold {threshold:.4}",
            calibration.pairwise.len(),
            calibration.mean(),
            calibration.deviation()
        ));
    }

    fn neuron_variants(
        &mut self,
        job: &NemoJob,
        layers: &ValueLayers,
        settings: &NemoSettings,
    ) -> Result<(), Ending> {
        let taken: Vec<NeuronRow> = self
            .found
            .rows
            .iter()
            .map(|row| NeuronRow {
                refined: if job.initial {
                    row.initial.clone()
                } else {
                    row.refined.clone()
                },
                ..row.clone()
            })
            .collect();
        let selection = if job.initial {
            "initial selection"
        } else {
            "refined neurons"
        };
        let how = format!(
            "thresholds {:.3} {:.3} {:.3}, {} samples from seed {}",
            settings.pairwise,
            settings.initial,
            settings.refinement,
            settings.noise.samples,
            settings.noise.seed
        );
        let name = self.job.name.clone();
        let Some(grouped) = self.found.grouped.clone() else {
            let labels = vec![Some(0); taken.len()];
            for (_, neurons) in cluster_neurons::unions(&taken, &labels)? {
                let note = format!(
                    "NeMo, {} prompts, {selection}: {} neurons; {how}",
                    taken.len(),
                    Located::count(&neurons)
                );
                self.keep(name.clone(), note, layers.edits(&neurons, settings.factor))?;
                self.found.neurons.push((None, neurons));
            }
            return Ok(());
        };
        let unions = cluster_neurons::unions(&taken, &grouped.labels)?;
        let counts: Vec<String> = unions
            .iter()
            .map(|(cluster, neurons)| format!("{cluster}: {}", Located::count(neurons)))
            .collect();
        let note = format!(
            "NeMo-C, {} clusters of {} prompts, {selection} of each: {}; {how}",
            grouped.clusters.members.len(),
            taken.len(),
            counts.join(", ")
        );
        let edits = unions
            .iter()
            .map(|(cluster, neurons)| (*cluster, layers.edits(neurons, settings.factor)));
        let tokens = self.pipeline.tokenizer().length();
        let edits = grouped.clusters.variant_edits(tokens, edits.collect());
        self.keep(name, note, edits)?;
        let numbered = unions
            .into_iter()
            .map(|(cluster, neurons)| (Some(cluster), neurons));
        self.found.neurons.extend(numbered);
        Ok(())
    }
}

fn line_of(row: &NeuronRow) -> String {
    let initial = Located::count(&row.initial);
    if initial == 0 && row.initial_ssim == 0.0 {
        return format!("“{}”: does not seem to be memorized", row.caption);
    }
    let layers: Vec<String> = row.refined.iter().map(|l| l.len().to_string()).collect();
    format!(
        "“{}”: {initial} neurons (similarity {:.3}), refined {} (similarity {:.3}; per layer {})",
        row.caption,
        row.initial_ssim,
        Located::count(&row.refined),
        row.refined_ssim,
        layers.join(" ")
    )
}
