//! Generating: draw, segment, compare, write down; one picture after the other, or several seeds of a prompt together.

use super::{
    CancelToken, Event, GenerateJob, JobId, JobKind,
    drawing::{Drawing, eye},
    generated_masks::MaskTally,
    session::Session,
    small::THUMBNAIL_SIDE,
    worker::Outcome,
};
use crate::{
    diffusion::DiffusionError,
    gallery::thumbnail,
    memorization::{Gathered, Judge, JudgeError, Judgement, SignalWatch},
    store::{Run, WrittenPicture},
    study::{Generation, GenerationKey, Match, Problem, Prompt, Signals},
};
use image::{GrayImage, RgbImage};
use std::{collections::HashMap, sync::Arc, time::Instant};

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
        self.hold_weights(job.sampling.weights);
        let job = &self.fitted(job);
        let variant = job.variant.as_ref();
        if variant.is_some() {
            // One that does not fit must not begin a run.
            self.pipeline_of(variant)?;
        }
        // Weights that the study names are used; without them nothing is written of embeddings.
        if self.outline.embedder.is_some() && self.gallery.is_some() && self.embeddings(id, cancel)?.is_none()
        {
            return Ok(Outcome::Stopped);
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
        let work = job.groups();
        let total = work.iter().map(|(_, seeds)| seeds.len()).sum();
        let mut progress = self.teller.progress(id, JobKind::Generate, total);
        progress.at(0.0);
        let (mut done, mut masks) = (0, MaskTally::default());
        for (prompt, seeds) in work {
            if cancel.is_cancelled() {
                return Ok(Outcome::Stopped);
            }
            let keys: Vec<GenerationKey> = seeds
                .iter()
                .map(|&seed| GenerationKey {
                    prompt: prompt.index,
                    seed,
                })
                .collect();
            if keys.iter().any(|key| !held.contains_key(key)) {
                // Those of the group that are there already are drawn with it: alone, the others would come out
                // differently in the last bit.
                let pipeline = self.pipeline_of(variant)?.until(cancel.flag());
                let drawing = Drawing {
                    keys: &keys,
                    prompt,
                    sampling: &job.sampling,
                    teller: &self.teller,
                    cancel,
                    progress: &mut progress,
                    done,
                    pipeline: &pipeline,
                    norms: vec![Vec::new(); keys.len()],
                    eye: eye(&pipeline, &prompt.text, &job.sampling),
                    cluster: pipeline
                        .cluster_of(&prompt.text)
                        .map_err(|e| draw_problem(prompt, &e))?,
                };
                let name = variant.map(|v| v.name.as_str().into());
                if self.pictures(drawing, name, &mut held, &mut run)? == Outcome::Stopped {
                    return Ok(Outcome::Stopped);
                }
            } else {
                for generation in keys.iter().filter_map(|key| held.remove(key)) {
                    self.tell_judged(generation);
                }
            }
            if self.outline.generated_mattes.is_some() {
                let name = variant.map(|v| Arc::<str>::from(v.name.as_str()));
                let pictures = keys
                    .iter()
                    .filter_map(|&key| self.shelf.generation(key, name.clone()));
                pictures.for_each(|generation| self.give_mask(&generation, &mut masks));
            }
            done += seeds.len();
            progress.at(done as f64);
        }
        self.tell_masks(&masks);
        Ok(Outcome::Done)
    }

    /// The same job with no more pictures at once than the machine has room for.
    fn fitted(&self, job: &GenerateJob) -> GenerateJob {
        let mut job = job.clone();
        let wanted = job.sampling.at_once;
        let fitting = self.model_facts().map_or(wanted, |f| f.fitting(&job.sampling));
        if fitting < wanted {
            self.notice(
                Problem::new(
                    "Fewer pictures are drawn at once than asked for",
                    "Choose fewer at once, or a smaller size.",
                )
                .detail(format!(
                    "{wanted} at once need more memory than the machine has; {fitting} are drawn"
                )),
            );
            job.sampling.at_once = fitting;
        }
        job
    }

    /// The pictures of one group from noise to their records on disk.
    fn pictures(
        &self,
        mut drawing: Drawing<'_>,
        variant: Option<Arc<str>>,
        held: &mut HashMap<GenerationKey, Generation>,
        run: &mut Run,
    ) -> Result<Outcome, Problem> {
        let start = Instant::now();
        let (keys, prompt, cancel) = (drawing.keys, drawing.prompt, drawing.cancel);
        let (request, pipeline, cluster) = (drawing.request(), drawing.pipeline, drawing.cluster);
        let sample = match self.pool.install(|| pipeline.sample(&request, &mut drawing)) {
            Ok(sample) => sample,
            Err(DiffusionError::Stopped) => return Ok(Outcome::Stopped),
            Err(error) => return Err(draw_problem(prompt, &error)),
        };
        if sample.images.len() != keys.len() {
            return Err(Problem::new(
                "The sampler gave another number of pictures than asked for",
                "Please report this with the prompt and the seeds.",
            ));
        }
        let seconds = start.elapsed().as_secs_f32() / keys.len() as f32;
        let norms = std::mem::take(&mut drawing.norms);
        let gathered = drawing.eye.take().map(SignalWatch::finish);
        let mut gathered = gathered.and_then(Result::ok).unwrap_or_default().into_iter();
        let mut drawn = Vec::with_capacity(keys.len());
        for ((&key, image), noise_norm) in keys.iter().zip(sample.images).zip(norms) {
            let seen = gathered.next();
            if let Some(generation) = held.remove(&key) {
                self.tell_judged(generation);
                continue;
            }
            let written = run.write_image(&key, &prompt.text, &image)?;
            let signals = seen.map(|seen| kept(run, &key, seen)).transpose()?;
            let generation = Generation {
                key,
                prompt: prompt.text.clone(),
                image: written.path.clone(),
                matte: None,
                confidence: None,
                matches: Vec::new(),
                measures: Default::default(),
                noise_norm,
                signals,
                seconds,
                thumbnail: Arc::new(thumbnail(&image, THUMBNAIL_SIDE)),
                variant: variant.clone(),
                cluster,
                edit: None,
            };
            let told = Arc::new(generation.clone());
            self.shelf.put(told.clone());
            self.teller.tell(Event::Drawn(told));
            drawn.push((generation, image, written));
        }
        for (generation, image, written) in drawn {
            if self.judge_and_record(generation, &image, &written, cancel, run)? == Outcome::Stopped {
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Done)
    }

    /// The second half of a picture's way: its matte, its matches, its record.
    pub(super) fn judge_and_record(
        &self,
        mut generation: Generation,
        image: &RgbImage,
        written: &WrittenPicture,
        cancel: &CancelToken,
        run: &mut Run,
    ) -> Result<Outcome, Problem> {
        let key = generation.key;
        let mut matte = None;
        if let Some(found) = self.judged(image, &key, cancel, run)? {
            generation.matte = Some(found.matte.path.clone());
            generation.confidence = Some(found.confidence);
            generation.matches = found.matches;
            generation.measures = self.measures_of(image, &found.alpha, &generation);
            matte = Some(found.matte);
        } else if cancel.is_cancelled() {
            return Ok(Outcome::Stopped);
        }
        if !run.has(&key) {
            let seconds = generation.seconds;
            run.append(self.record(&generation, written, matte.as_ref()), seconds)?;
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
        let stop = || cancel.is_cancelled();
        let judgement = self.pool.install(|| {
            match self.approximate.as_ref().map(|a| a.candidates(image)) {
                Some(Some(rows)) => judge.judge_among(image, &rows, &stop),
                // Without an embedding of the picture all are compared: slower, never wrong.
                _ => judge.judge(image, &stop),
            }
        });
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
                    matte: run.write_matte_of(key, &matte, &segmenter.provenance())?,
                    alpha: matte,
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

/// Writes the maps beside a picture.
fn kept(run: &Run, key: &GenerationKey, seen: Gathered) -> Result<Arc<Signals>, Problem> {
    let mut signals = seen.signals;
    if !seen.maps.is_empty() {
        signals.maps = Some(run.write_signal_maps(key, &seen.maps)?.1);
    }
    Ok(Arc::new(signals))
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
    alpha: GrayImage,
    confidence: f32,
    matches: Vec<Match>,
}

fn draw_problem(prompt: &Prompt, error: &DiffusionError) -> Problem {
    Problem::new(
        "A picture could not be drawn",
        "Finished pictures are on disk. Check the settings and the checkpoint, then run again.",
    )
    .detail(format!("prompt {}: “{}”", prompt.index, prompt.text))
    .detail(error.to_string())
}
