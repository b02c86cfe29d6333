//! Guidance schedules as a job.

use super::{Ending, Search};
use crate::{
    mitigation::guidance,
    study::{Edit, GuidanceSchedule, Problem, Transition},
};

impl Search<'_> {
    pub(super) fn guidance(
        &mut self,
        before: f32,
        transition: Option<Transition>,
        seeds: &[u64],
    ) -> Result<(), Ending> {
        let measured = match transition {
            Some(Transition::Step(_) | Transition::Timestep(_)) => None,
            Some(Transition::FirstMinimum) | None => Some(self.traces(before, seeds)?),
        };
        let transition = match (transition, measured) {
            (Some(transition), _) => transition,
            (None, Some(Some(timestep))) => Transition::Timestep(timestep),
            (None, _) => {
                return Err(Ending::Failed(Problem::new(
                    "No transition point was found",
                    "No unguided trajectory has a minimum of the noise norm; give a timestep instead.",
                )));
            }
        };
        let schedule = GuidanceSchedule { before, transition };
        let note = format!("Jain et al.: {schedule}, from {} prompts", self.job.prompts.len());
        self.keep(self.job.name.clone(), note, vec![Edit::Guidance(schedule)])
    }

    /// Traces of all prompts; the median timestep of their first minima.
    fn traces(&mut self, before: f32, seeds: &[u64]) -> Result<Option<u32>, Ending> {
        let mut found = Vec::new();
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            let sampling = &self.job.sampling;
            let trace = guidance::trace(
                self.pipeline,
                &prompt.text,
                sampling,
                seeds,
                before,
                &mut self.watch,
            )?;
            let at = trace.transition();
            let with = trace.candidates().iter().filter(|c| !c.is_empty()).count();
            let words = at.map_or("no minimum".to_owned(), |t| {
                format!("first minimum at timestep {t}")
            });
            self.found.lines.push(format!(
                "“{}”: {words} ({with} of {} seeds have one)",
                prompt.text,
                seeds.len()
            ));
            found.extend(at);
            self.found.traces.push(trace);
        }
        found.sort_unstable();
        Ok(found.get(found.len().saturating_sub(1) / 2).copied())
    }
}
