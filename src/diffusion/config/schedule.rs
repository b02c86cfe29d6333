//! `scheduler/scheduler_config.json`.

use super::Keys;
use crate::{
    diffusion::{BetaSchedule, CheckpointError, FinalSigma, Prediction, SolverKind, Spacing},
    study::SchedulerKind,
};
use serde_json::{Value, json};
use std::path::Path;

/// Noise schedule of a checkpoint, for whichever scheduler draws with it. Whatever scheduler wrote the file, its values
/// mean what diffusers' `from_config` makes of them: a key counts for every scheduler that knows it, and where it is
/// absent each scheduler has its own default.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// Class that diffusers would draw with (`PNDMScheduler`, `DDIMScheduler`, …); empty when the file names none.
    pub class: String,
    /// Steps of the training schedule.
    pub train_steps: usize,
    /// How the noise grows.
    pub betas: BetaSchedule,
    /// Rescale so that the last training step is pure noise (not PNDM).
    pub zero_terminal_snr: bool,
    /// What the network predicts.
    pub prediction: Prediction,
    /// How the sampling steps are spread over the training steps; `None`: as the scheduler does by default.
    pub spacing: Option<Spacing>,
    /// Added to every timestep of leading spacing.
    pub steps_offset: usize,
    /// The step before the first one is free of noise, instead of training step 0 (DDIM and PNDM).
    pub set_alpha_to_one: Option<bool>,
    /// Clamp the predicted original to ± this (DDIM).
    pub clip_sample: Option<f64>,
    /// Begin without Runge–Kutta steps (PNDM).
    pub skip_prk_steps: bool,
    /// Order of the multistep formula, 1 or 2 (DPM-Solver++).
    pub solver_order: usize,
    /// Form of its second-order term (DPM-Solver++).
    pub solver: SolverKind,
    /// The last of fewer than 15 steps is of first order (DPM-Solver++).
    pub lower_order_final: bool,
    /// The last step is of first order (DPM-Solver++).
    pub euler_at_final: bool,
    /// No timestep with a log α/σ below this (DPM-Solver++).
    pub lambda_min_clipped: f64,
    /// Where the last step leads (DPM-Solver++ and Euler).
    pub final_sigma: FinalSigma,
    /// Space σ as Karras et al. (DPM-Solver++ and Euler).
    pub karras_sigmas: bool,
    /// Smallest σ of that spacing.
    pub sigma_min: Option<f64>,
    /// Largest σ of that spacing.
    pub sigma_max: Option<f64>,
    /// Space σ equally in log σ instead of by timesteps (Euler).
    pub log_linear_sigmas: bool,
    /// What some schedulers would have to honour and this program does not.
    pub refusals: Vec<Refusal>,
}

/// A setting that keeps a scheduler from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The scheduler.
    pub scheduler: SchedulerKind,
    /// File, key, value, and what would be accepted.
    pub message: String,
}

impl Default for ScheduleConfig {
    /// What diffusers' schedulers take an empty file for.
    fn default() -> Self {
        Self {
            class: String::new(),
            train_steps: 1000,
            betas: BetaSchedule::Linear {
                start: 0.0001,
                end: 0.02,
            },
            zero_terminal_snr: false,
            prediction: Prediction::Noise,
            spacing: None,
            steps_offset: 0,
            set_alpha_to_one: None,
            clip_sample: Some(1.0),
            skip_prk_steps: false,
            solver_order: 2,
            solver: SolverKind::Midpoint,
            lower_order_final: true,
            euler_at_final: false,
            lambda_min_clipped: f64::NEG_INFINITY,
            final_sigma: FinalSigma::Zero,
            karras_sigmas: false,
            sigma_min: None,
            sigma_max: None,
            log_linear_sigmas: false,
            refusals: Vec::new(),
        }
    }
}

/// Keys that only diffusers' other schedulers have, which it drops for ours, or that do nothing without another that is
/// refused.
const FOREIGN: [&str; 15] = [
    "disable_corrector",
    "dynamic_thresholding_ratio",
    "flow_shift",
    "noise_sampler_seed",
    "original_inference_steps",
    "predict_x0",
    "rho",
    "sample_max_value",
    "shift_terminal",
    "sigma_data",
    "sigma_schedule",
    "solver_p",
    "time_shift_type",
    "timestep_scaling",
    "use_dynamic_shifting",
];

impl ScheduleConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// The key and value that is out of range, unknown, or cannot be honoured by any scheduler. What only some cannot
    /// honour is kept in [`refusals`](Self::refusals).
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::of(Keys::read(path)?)
    }

    /// Checks settings.
    pub(in crate::diffusion) fn of(mut k: Keys) -> Result<Self, CheckpointError> {
        let default = Self::default();
        let class = k
            .get("_class_name")
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        if class.starts_with("Flow") {
            return Err(k.refuse("_class_name", "flow-matching models are not supported"));
        }
        k.only(&[("thresholding", json!(false))])?;
        let train_steps = k.count("num_train_timesteps", default.train_steps, 100_000)?;
        let range = k.number("clip_sample_range", 1.0, 0.0, 1e6)?;
        let config = Self {
            betas: betas(&mut k, train_steps)?,
            zero_terminal_snr: k.flag("rescale_betas_zero_snr", false)?,
            prediction: k.choice(
                "prediction_type",
                Prediction::Noise,
                &[
                    ("epsilon", Prediction::Noise),
                    ("v_prediction", Prediction::Velocity),
                    ("sample", Prediction::Original),
                ],
            )?,
            spacing: k.choice(
                "timestep_spacing",
                None,
                &[
                    ("leading", Some(Spacing::Leading)),
                    ("trailing", Some(Spacing::Trailing)),
                    ("linspace", Some(Spacing::Linspace)),
                ],
            )?,
            steps_offset: k.whole("steps_offset", 0, 0, train_steps - 1)?,
            set_alpha_to_one: match k.get("set_alpha_to_one") {
                None => None,
                Some(_) => Some(k.flag("set_alpha_to_one", true)?),
            },
            clip_sample: k.flag("clip_sample", true)?.then_some(range),
            skip_prk_steps: k.flag("skip_prk_steps", false)?,
            solver_order: k.whole("solver_order", default.solver_order, 1, 3)?,
            solver: k.choice(
                "solver_type",
                SolverKind::Midpoint,
                &[
                    ("midpoint", SolverKind::Midpoint),
                    ("heun", SolverKind::Heun),
                    // Names of other solvers, which diffusers takes for this one.
                    ("logrho", SolverKind::Midpoint),
                    ("bh1", SolverKind::Midpoint),
                    ("bh2", SolverKind::Midpoint),
                ],
            )?,
            lower_order_final: k.flag("lower_order_final", true)?,
            euler_at_final: k.flag("euler_at_final", false)?,
            lambda_min_clipped: match k.get("lambda_min_clipped") {
                // JSON has no infinity; Python writes it all the same.
                Some(Value::String(text)) if text == "-Infinity" => f64::NEG_INFINITY,
                Some(_) => k.number("lambda_min_clipped", 0.0, -1e6, 1e6)?,
                None => f64::NEG_INFINITY,
            },
            final_sigma: k.choice(
                "final_sigmas_type",
                FinalSigma::Zero,
                &[("zero", FinalSigma::Zero), ("sigma_min", FinalSigma::SigmaMin)],
            )?,
            karras_sigmas: k.flag("use_karras_sigmas", false)?,
            sigma_min: sigma(&mut k, "sigma_min")?,
            sigma_max: sigma(&mut k, "sigma_max")?,
            log_linear_sigmas: k.choice(
                "interpolation_type",
                false,
                &[("linear", false), ("log_linear", true)],
            )?,
            class,
            train_steps,
            refusals: Vec::new(),
        };
        let refusals = config.refused(&mut k);
        k.ignore(&FOREIGN);
        k.finish()?;
        Ok(Self { refusals, ..config })
    }

    /// The scheduler that the checkpoint names itself; `None` when this program does not have it.
    pub fn own(&self) -> Option<SchedulerKind> {
        Some(match self.class.as_str() {
            "DDIMScheduler" | "" => SchedulerKind::Ddim,
            "PNDMScheduler" => SchedulerKind::Pndm,
            "DPMSolverMultistepScheduler" => SchedulerKind::DpmPlusPlus,
            "EulerDiscreteScheduler" => SchedulerKind::Euler,
            "EulerAncestralDiscreteScheduler" => SchedulerKind::EulerAncestral,
            _ => return None,
        })
    }

    /// Whether a scheduler can honour everything it would have to.
    ///
    /// # Errors
    /// The first setting that it cannot honour: file, key, value, and what would be accepted.
    pub fn allows(&self, kind: SchedulerKind) -> Result<(), String> {
        match self.refusals.iter().find(|r| r.scheduler == kind) {
            None => Ok(()),
            Some(refusal) => Err(format!("{kind}: {}", refusal.message)),
        }
    }

    /// What single schedulers would have to honour and this program does not.
    fn refused(&self, k: &mut Keys) -> Vec<Refusal> {
        use SchedulerKind::{DpmPlusPlus, Euler, EulerAncestral, Pndm};
        let velocity = self.prediction == Prediction::Velocity;
        let rules: [(&[SchedulerKind], &str, &[Value], bool); 9] = [
            (&[DpmPlusPlus], "algorithm_type", &[json!("dpmsolver++")], true),
            (&[DpmPlusPlus], "solver_order", &[json!(1), json!(2)], true),
            (&[DpmPlusPlus], "use_lu_lambdas", &[json!(false)], true),
            (&[DpmPlusPlus], "use_flow_sigmas", &[json!(false)], true),
            (
                &[DpmPlusPlus, Euler],
                "use_exponential_sigmas",
                &[json!(false)],
                true,
            ),
            (&[DpmPlusPlus, Euler], "use_beta_sigmas", &[json!(false)], true),
            (&[Euler], "timestep_type", &[json!("discrete")], velocity),
            (
                &[Pndm, EulerAncestral],
                "prediction_type",
                &[json!("epsilon"), json!("v_prediction")],
                true,
            ),
            (
                &[DpmPlusPlus],
                "variance_type",
                &[
                    json!("fixed_small"),
                    json!("fixed_large"),
                    json!("fixed_small_log"),
                ],
                true,
            ),
        ];
        let mut refusals = Vec::new();
        for (schedulers, key, accepted, counts) in rules {
            let Some(value) = k.get(key) else { continue };
            if !counts || accepted.contains(&value) {
                continue;
            }
            let names: Vec<String> = accepted.iter().map(Value::to_string).collect();
            let message = k
                .refuse(key, format!("supported: {}", names.join(", ")))
                .to_string();
            refusals.extend(schedulers.iter().map(|&scheduler| Refusal {
                scheduler,
                message: message.clone(),
            }));
        }
        refusals
    }
}

fn betas(k: &mut Keys, train_steps: usize) -> Result<BetaSchedule, CheckpointError> {
    let start = k.number("beta_start", 0.0001, 0.0, 1.0)?;
    let end = k.number("beta_end", 0.02, 0.0, 1.0)?;
    let named = k.choice(
        "beta_schedule",
        BetaSchedule::Linear { start, end },
        &[
            ("linear", BetaSchedule::Linear { start, end }),
            ("scaled_linear", BetaSchedule::ScaledLinear { start, end }),
            ("squaredcos_cap_v2", BetaSchedule::SquaredCosine),
        ],
    )?;
    let Some(given) = k.get("trained_betas") else {
        return Ok(named);
    };
    let betas: Option<Vec<f32>> = given.as_array().and_then(|list| {
        list.iter()
            .map(|v| v.as_f64().filter(|b| (0.0..1.0).contains(b)).map(|b| b as f32))
            .collect()
    });
    betas
        .filter(|b| b.len() == train_steps)
        .map(BetaSchedule::Given)
        .ok_or_else(|| {
            k.refuse(
                "trained_betas",
                format!("expected {train_steps} numbers from 0 to below 1"),
            )
        })
}

fn sigma(k: &mut Keys, key: &str) -> Result<Option<f64>, CheckpointError> {
    match k.get(key) {
        None => Ok(None),
        Some(_) => k.number(key, 0.0, 0.0, 1e6).map(Some),
    }
}
