//! Generating: draw, segment, compare, write down; one picture after the other.

use super::{
    CancelToken, Event, GenerateJob, JobId, JobKind, StepPreview,
    session::Session,
    teller::{ProgressLine, Teller},
    views::THUMBNAIL_SIDE,
    worker::Outcome,
};
use crate::{
    diffusion::{DiffusionError, InitialNoise, Observer, Pipeline, SampleRequest, Step},
    gallery::thumbnail,
    memorization::{Judge, JudgeError, Judgement},
    store::{Run, WrittenPicture},
    study::{Generation, GenerationKey, Match, Problem, Prompt, Sampling},
};
use image::RgbImage;
use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::Instant};

impl Session {
    /// Draws every prompt with every seed; see [`super::Job::Generate`].
    pub fn generate(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
        job: &GenerateJob,
    ) -> Result<Outcome, Problem> {
        job.sampling.validate().map_err(|reason| {
            Problem::new(
                "These settings cannot be used",
                "Change them in the run settings.",
            )
            .detail(reason)
        })?;
        let variant = job.variant.as_ref();
        if variant.is_some() {
            // One that does not fit must not begin a run.
            self.pipeline_of(variant)?;
        }
        let mut run = self.run_for(&job.sampling, variant.map(|v| &**v))?;
        for notice in run.notices() {
            self.notice(notice.clone());
        }
        refuse_other_prompts(&run, &job.prompts)?;
        self.show(run.folder());
        let mut held = if job.redraw || run.records().is_empty() {
            HashMap::new()
        } else {
            self.held_by(&run)
        };
        let work: Vec<(&Prompt, u64)> = job
            .prompts
            .iter()
            .flat_map(|p| job.seeds.iter().map(move |&s| (p, s)))
            .enumerate()
            .filter(|(place, _)| job.shard.is_none_or(|s| s.holds(*place)))
            .map(|(_, picture)| picture)
            .collect();
        let mut progress = self.teller.progress(id, JobKind::Generate, work.len());
        progress.at(0.0);
        for (done, (prompt, seed)) in work.iter().enumerate() {
            if cancel.is_cancelled() {
                return Ok(Outcome::Stopped);
            }
            let key = GenerationKey {
                prompt: prompt.index,
                seed: *seed,
            };
            if let Some(generation) = held.remove(&key) {
                self.tell_judged(generation);
            } else {
                let pipeline = self.pipeline_of(variant)?;
                let drawn = Drawing {
                    key,
                    prompt,
                    sampling: &job.sampling,
                    variant: variant.map(|v| v.name.as_str().into()),
                    teller: &self.teller,
                    cancel,
                    progress: &mut progress,
                    done,
                    pipeline: &pipeline,
                    norms: Vec::new(),
                };
                if self.one_picture(drawn, &mut run)? == Outcome::Stopped {
                    return Ok(Outcome::Stopped);
                }
            }
            progress.at((done + 1) as f64);
        }
        Ok(Outcome::Done)
    }

    /// One picture from noise to its record on disk.
    fn one_picture(&self, mut drawing: Drawing<'_>, run: &mut Run) -> Result<Outcome, Problem> {
        let start = Instant::now();
        let (key, prompt, cancel) = (drawing.key, drawing.prompt, drawing.cancel);
        let request = SampleRequest {
            prompt: prompt.text.clone(),
            sampling: drawing.sampling.clone(),
            noise: InitialNoise::Seeds(vec![key.seed]),
        };
        let pipeline = drawing.pipeline;
        let sample = match self.pool.install(|| pipeline.sample(&request, &mut drawing)) {
            Ok(sample) => sample,
            Err(DiffusionError::Stopped) => return Ok(Outcome::Stopped),
            Err(error) => return Err(draw_problem(prompt, &error)),
        };
        let image = sample.images.into_iter().next().ok_or_else(|| {
            Problem::new(
                "The sampler gave no picture",
                "Please report this with the prompt and the seed.",
            )
        })?;
        let seconds = start.elapsed().as_secs_f32();
        let written = run.write_image(&key, &prompt.text, &image)?;
        let mut generation = Generation {
            key,
            prompt: prompt.text.clone(),
            image: written.path.clone(),
            matte: None,
            confidence: None,
            matches: Vec::new(),
            noise_norm: std::mem::take(&mut drawing.norms),
            seconds,
            thumbnail: Arc::new(thumbnail(&image, THUMBNAIL_SIDE)),
            variant: drawing.variant.clone(),
        };
        let drawn = Arc::new(generation.clone());
        self.shelf.put(drawn.clone());
        self.teller.tell(Event::Drawn(drawn));

        let mut matte = None;
        if let Some(found) = self.judged(&image, &key, cancel, run)? {
            generation.matte = Some(found.matte.path.clone());
            generation.confidence = Some(found.confidence);
            generation.matches = found.matches;
            matte = Some(found.matte);
        } else if cancel.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        if !run.has(&key) {
            run.append(self.record(&generation, &written, matte.as_ref()), seconds)?;
        }
        self.tell_judged(generation);
        Ok(Outcome::Done)
    }

    /// Segments and compares; `None` without a segmenter, or when stopped.
    fn judged(
        &self,
        image: &RgbImage,
        key: &GenerationKey,
        cancel: &CancelToken,
        run: &Run,
    ) -> Result<Option<Found>, Problem> {
        let Some(segmenter) = &self.segmenter else {
            return Ok(None);
        };
        let judge = Judge {
            segmenter,
            index: self.gallery.as_ref().map(|g| &*g.index),
            arithmetic: self.outline.arithmetic,
        };
        let judgement = self
            .pool
            .install(|| judge.judge(image, &|| cancel.is_cancelled()));
        match judgement {
            Ok(Judgement {
                matte,
                confidence,
                mut matches,
            }) => {
                if let Some(gallery) = &self.gallery {
                    for m in &mut matches {
                        m.gallery = gallery.rows[m.gallery as usize];
                    }
                }
                Ok(Some(Found {
                    matte: run.write_matte(key, &matte)?,
                    confidence,
                    matches,
                }))
            }
            Err(JudgeError::Stopped) => Ok(None),
            Err(error) => Err(Problem::new(
                "A picture was drawn but could not be judged",
                "It is kept; check the segmenter and run again.",
            )
            .detail(error.to_string())),
        }
    }
}

/// A run names its pictures by prompt number; the same number with another text would mix two prompts.
fn refuse_other_prompts(run: &Run, prompts: &[Prompt]) -> Result<(), Problem> {
    let recorded: HashMap<u32, &str> = run
        .records()
        .iter()
        .map(|r| (r.key.prompt, r.prompt.as_str()))
        .collect();
    match prompts
        .iter()
        .find(|p| recorded.get(&p.index).is_some_and(|text| *text != p.text))
    {
        None => Ok(()),
        Some(prompt) => Err(Problem::new(
            "The run holds another prompt under the same number",
            "Choose another run folder, or give the changed prompt a place at the end of the list.",
        )
        .at(run.folder())
        .detail(format!("number {}: “{}”", prompt.index, recorded[&prompt.index]))
        .detail(format!("asked for: “{}”", prompt.text))),
    }
}

/// A judgement, its matte on disk.
struct Found {
    matte: WrittenPicture,
    confidence: f32,
    matches: Vec<Match>,
}

/// Watches one picture form.
struct Drawing<'a> {
    key: GenerationKey,
    prompt: &'a Prompt,
    sampling: &'a Sampling,
    variant: Option<Arc<str>>,
    teller: &'a Teller,
    cancel: &'a CancelToken,
    progress: &'a mut ProgressLine,
    done: usize,
    pipeline: &'a Pipeline,
    norms: Vec<f32>,
}

impl Observer for Drawing<'_> {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        if self.cancel.is_cancelled() {
            return ControlFlow::Break(());
        }
        // A preview or a norm that cannot be made is no reason to stop the picture.
        let norm = step
            .noise_norms()
            .ok()
            .flatten()
            .and_then(|norms| norms.first().copied());
        self.norms.extend(norm);
        if let Ok(previews) = self.pipeline.preview(step.predicted_original)
            && let Some(preview) = previews.into_iter().next()
        {
            self.teller.tell(Event::Step(StepPreview {
                key: self.key,
                step: step.index + 1,
                steps: step.count,
                preview: Arc::new(preview),
                noise_norm: norm,
            }));
        }
        self.progress
            .at(self.done as f64 + (step.index + 1) as f64 / (step.count + 1) as f64);
        ControlFlow::Continue(())
    }
}

fn draw_problem(prompt: &Prompt, error: &DiffusionError) -> Problem {
    Problem::new(
        "A picture could not be drawn",
        "Finished pictures are on disk. Check the settings and the checkpoint, then run again.",
    )
    .detail(format!("prompt {}: “{}”", prompt.index, prompt.text))
    .detail(error.to_string())
}
