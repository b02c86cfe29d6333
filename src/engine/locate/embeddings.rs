//! Other embeddings as jobs: optimised ones, and those of disturbed prompts.

use super::{Ending, Search};
use crate::{
    mitigation::{
        MitigationError, Watch, cluster_neurons,
        prompt::{self, Insertion, PromptSettings},
    },
    study::{Edit, Embedding, EmbeddingEdit, Prompt},
};

impl Search<'_> {
    pub(super) fn prompt(&mut self, settings: &PromptSettings, tokens: bool) -> Result<(), Ending> {
        let settings = PromptSettings {
            sampling: self.job.sampling.clone(),
            ..settings.clone()
        };
        let mut edits = Vec::new();
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            if tokens {
                let scores = prompt::significance(self.pipeline, &prompt.text, &settings, &self.watch)?;
                let scores: Vec<String> = scores
                    .iter()
                    .map(|t| format!("{} {:.3}", t.token, t.score))
                    .collect();
                self.found
                    .lines
                    .push(format!("“{}”: {}", prompt.text, scores.join(" · ")));
            }
            let optimised = prompt::optimise(
                self.pipeline,
                &prompt.text,
                &settings,
                &format!("prompt-{place}"),
                &mut self.watch,
            )?;
            let norms = &optimised.norms;
            self.found.lines.push(format!(
                "“{}”: noise norm {:.3} → {:.3} after {} updates{}",
                prompt.text,
                norms[0],
                norms[norms.len() - 1],
                norms.len() - 1,
                if optimised.reached { ", target reached" } else { "" }
            ));
            edits.push(for_prompt(prompt, optimised.embedding));
        }
        let note = format!(
            "Wen et al.: embeddings of {} prompts, AdamW, rate {}, decay {}, at most {} updates, target {}",
            edits.len(),
            settings.learning_rate,
            settings.weight_decay,
            settings.iterations,
            settings.target.map_or("none".to_owned(), |t| t.to_string())
        );
        self.keep(self.job.name.clone(), note, edits)
    }

    pub(super) fn insert(&mut self, what: Insertion, count: usize, seed: u64) -> Result<(), Ending> {
        let mut edits = Vec::new();
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            self.watch.go_on()?;
            let seed = seed.wrapping_add(u64::from(prompt.index));
            let disturbed = prompt::insert(self.pipeline.tokenizer(), &prompt.text, what, count, seed)?;
            self.found
                .lines
                .push(format!("“{}” → “{disturbed}”", prompt.text));
            let embedding = self.embedding(&disturbed)?;
            edits.push(for_prompt(prompt, embedding));
            self.watch.at(1.0, 1.0);
        }
        let note = format!(
            "{count} random {what} inserted into {} prompts, seed {seed}",
            edits.len()
        );
        self.keep(self.job.name.clone(), note, edits)
    }

    fn embedding(&self, text: &str) -> Result<Embedding, MitigationError> {
        let tensor = self.pipeline.encode_prompts(&[text])?;
        let (_, tokens, width) = tensor.dims3()?;
        Ok(Embedding {
            tokens,
            width,
            values: cluster_neurons::flat_embedding(self.pipeline, text)?.into(),
        })
    }
}

fn for_prompt(prompt: &Prompt, embedding: Embedding) -> Edit {
    Edit::Embedding(EmbeddingEdit {
        prompt: Some(prompt.text.clone()),
        embedding,
    })
}
