//! What the configuration of a single-file checkpoint must be, from the names and shapes of its tensors.

use super::{CLIP, Names, OPEN_CLIP, UNET, VAE, names::number, settings::Settings};
use crate::diffusion::{
    CheckpointError, ScheduleConfig, TextConfig, UNetConfig, VaeConfig, config::Keys, weights::TensorInfo,
};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Configurations of a single-file checkpoint.
pub struct Inferred {
    /// Of the denoising network.
    pub unet: UNetConfig,
    /// Of the autoencoder.
    pub vae: VaeConfig,
    /// Of the text encoder.
    pub text: TextConfig,
    /// Of the noise schedule.
    pub schedule: ScheduleConfig,
    /// How its tensors are renamed.
    pub names: Names,
    /// What was assumed, in sentences.
    pub notes: Vec<String>,
    /// Files beside it that settings were read from.
    pub settings_files: Vec<PathBuf>,
}

type Tensors = BTreeMap<String, TensorInfo>;

struct File<'a> {
    path: &'a Path,
    tensors: &'a Tensors,
    settings: Settings,
}

/// Infers what there is to know. Configuration files in diffusers layout in the same folder (`unet/config.json` and so
/// on) say it with authority; a `.yaml` of the original code says what shapes cannot.
///
/// # Errors
/// Files that hold something else; settings that cannot be honoured.
pub fn infer(path: &Path, tensors: &Tensors) -> Result<Inferred, CheckpointError> {
    let file = File {
        path,
        tensors,
        settings: Settings::beside(path)?,
    };
    file.recognise()?;
    let open_clip = file.has(OPEN_CLIP, "token_embedding.weight");
    let mut notes = vec![format!(
        "{} is read as Stable Diffusion {}, its settings inferred from the shapes of its tensors",
        path.file_name().unwrap_or_default().to_string_lossy(),
        if open_clip { "2.x" } else { "1.x" }
    )];
    if let Some(yaml) = &file.settings.path {
        notes.push(format!("further settings come from {}", yaml.display()));
    }
    if tensors.keys().any(|name| name.starts_with("model_ema.")) {
        notes.push(
            "it also holds averaged (EMA) weights of the UNet; the plain ones are used, as diffusers does"
                .into(),
        );
    }
    let mut settings_files: Vec<PathBuf> = file.settings.path.iter().cloned().collect();
    let beside = |part: &str| -> Option<PathBuf> {
        let path = path.parent()?.join(part);
        path.is_file().then_some(path)
    };
    let mut config_of = |part: &str, name: &str| {
        let found = beside(&format!("{part}/{name}"))?;
        notes.push(format!("{part}/{name} beside it is used"));
        settings_files.push(found.clone());
        Some(found)
    };
    let (unet_file, vae_file, text_file, schedule_file) = (
        config_of("unet", "config.json"),
        config_of("vae", "config.json"),
        config_of("text_encoder", "config.json"),
        config_of("scheduler", "scheduler_config.json"),
    );

    let schedule = match schedule_file {
        Some(found) => ScheduleConfig::read(&found)?,
        None => ScheduleConfig::of(file.keys(file.schedule(open_clip, &mut notes)?))?,
    };
    let (text, layers) = file.text(open_clip)?;
    let text = match text_file {
        Some(found) => TextConfig::read(&found)?,
        None => TextConfig::of(file.keys(text))?,
    };
    let (unet, unet_layers) = file.unet(
        open_clip,
        schedule.prediction == crate::diffusion::Prediction::Velocity,
    )?;
    let unet = match unet_file {
        Some(found) => UNetConfig::read(&found)?,
        None => UNetConfig::of(file.keys(unet))?,
    };
    let (vae, vae_levels) = file.vae()?;
    let vae = match vae_file {
        Some(found) => VaeConfig::read(&found)?,
        None => VaeConfig::of(file.keys(vae))?,
    };
    Ok(Inferred {
        unet,
        vae,
        text,
        schedule,
        names: Names {
            layers: unet_layers,
            vae_levels,
            open_clip_layers: open_clip.then_some(layers),
        },
        notes,
        settings_files,
    })
}

impl File<'_> {
    fn refuse(&self, message: impl Into<String>) -> CheckpointError {
        CheckpointError::SingleFile {
            path: self.path.to_owned(),
            message: message.into(),
        }
    }

    /// Is it Stable Diffusion 1 or 2 with all three parts?
    fn recognise(&self) -> Result<(), CheckpointError> {
        let holds = |prefix: &str| self.tensors.keys().any(|name| name.starts_with(prefix));
        if !holds(UNET) {
            return Err(self.refuse(format!(
                "no tensor's name begins with {UNET}; a single-file checkpoint of Stable Diffusion 1.x or 2.x is \
                 needed, or a folder in diffusers layout"
            )));
        }
        if holds("conditioner.embedders.") {
            return Err(self.refuse("this is Stable Diffusion XL or a relative; 1.x and 2.x are supported"));
        }
        let mut missing = Vec::new();
        if !holds(&format!("{VAE}decoder.")) {
            missing.push(format!("no autoencoder ({VAE}decoder.…)"));
        }
        if !holds(CLIP) && !holds(OPEN_CLIP) {
            missing.push(format!("no text encoder ({CLIP}… or {OPEN_CLIP}…)"));
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(self.refuse(format!(
                "it holds {}; use a complete checkpoint",
                missing.join(" and ")
            )))
        }
    }

    fn has(&self, prefix: &str, name: &str) -> bool {
        self.tensors.contains_key(&format!("{prefix}{name}"))
    }

    /// The shape of a tensor of so many dimensions.
    fn shape<const N: usize>(&self, prefix: &str, name: &str) -> Result<[usize; N], CheckpointError> {
        let full = format!("{prefix}{name}");
        let Some(info) = self.tensors.get(&full) else {
            return Err(self.refuse(format!("it has no tensor {full}")));
        };
        <[usize; N]>::try_from(info.shape.as_slice())
            .map_err(|_| self.refuse(format!("{full} is {:?}, expected {N} dimensions", info.shape)))
    }

    /// One more than the largest number that follows a prefix.
    fn count(&self, prefix: &str) -> usize {
        let names = self.tensors.range(prefix.to_owned()..);
        names
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(prefix))
            .filter_map(|name| number(&name[prefix.len()..]))
            .map(|(n, _)| n + 1)
            .max()
            .unwrap_or(0)
    }

    fn keys(&self, map: Value) -> Keys {
        let map = match map {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        Keys::new(self.path, map)
    }

    /// The UNet's configuration, and its residual blocks per level.
    fn unet(&self, open_clip: bool, velocity: bool) -> Result<(Value, usize), CheckpointError> {
        let has = |name: &str| self.has(UNET, name);
        let [_, in_channels, _, _] = self.shape(UNET, "input_blocks.0.0.weight")?;
        let [out_channels, _, _, _] = self.shape(UNET, "out.2.weight")?;
        let blocks = self.count(&format!("{UNET}input_blocks."));
        let downs: Vec<usize> = (1..blocks)
            .filter(|i| has(&format!("input_blocks.{i}.0.op.weight")))
            .collect();
        let layers = downs.first().copied().unwrap_or(blocks).saturating_sub(1);
        let levels = downs.len() + 1;
        let regular = downs
            .iter()
            .enumerate()
            .all(|(i, &at)| at == (i + 1) * (layers + 1));
        if layers == 0 || !regular || blocks != levels * (layers + 1) {
            return Err(self.refuse(format!(
                "{blocks} input blocks with downsampling at {downs:?} are not a UNet of Stable Diffusion"
            )));
        }
        let mut channels = Vec::new();
        let (mut depths, mut down, mut up) = (Vec::new(), Vec::new(), Vec::new());
        let mut context = None;
        for level in 0..levels {
            let first = format!("input_blocks.{}", 1 + level * (layers + 1));
            let [outputs, _, _, _] = self.shape(UNET, &format!("{first}.0.in_layers.2.weight"))?;
            channels.push(outputs);
            let attention = has(&format!("{first}.1.proj_in.weight"));
            let place = if attention {
                format!("{first}.1")
            } else {
                "middle_block.1".to_owned()
            };
            depths.push(self.count(&format!("{UNET}{place}.transformer_blocks.")));
            down.push(if attention {
                "CrossAttnDownBlock2D"
            } else {
                "DownBlock2D"
            });
            let attention = has(&format!(
                "output_blocks.{}.1.proj_in.weight",
                level * (layers + 1)
            ));
            up.push(if attention {
                "CrossAttnUpBlock2D"
            } else {
                "UpBlock2D"
            });
            let key = format!("{place}.transformer_blocks.0.attn2.to_k.weight");
            if context.is_none() && has(&key) {
                let [_, width] = self.shape(UNET, &key)?;
                context = Some(width);
            }
        }
        let Some(context) = context else {
            return Err(self.refuse("its UNet has no cross-attention"));
        };
        let by_width = |width: f64| -> Vec<usize> {
            channels
                .iter()
                .map(|&c| (c as f64 / width.max(1.0)) as usize)
                .collect()
        };
        let (heads, width) = (
            self.settings.number("num_heads")?.filter(|&n| n >= 1.0),
            self.settings.number("num_head_channels")?.filter(|&n| n >= 1.0),
        );
        let heads = match (heads, width) {
            (_, Some(width)) => by_width(width),
            (Some(heads), None) => vec![heads as usize; levels],
            (None, None) if open_clip => by_width(64.0),
            (None, None) => vec![8; levels],
        };
        // The original code calls the last level's middle its own.
        let config = json!({
            "in_channels": in_channels,
            "out_channels": out_channels,
            "block_out_channels": channels,
            "layers_per_block": layers,
            "down_block_types": down,
            "up_block_types": up,
            "attention_head_dim": heads,
            "transformer_layers_per_block": depths,
            "cross_attention_dim": context,
            "norm_num_groups": 32,
            "use_linear_projection": open_clip,
            "sample_size": if open_clip && velocity { 96 } else { 64 },
        });
        Ok((config, layers))
    }

    /// The autoencoder's configuration, and its number of levels.
    fn vae(&self) -> Result<(Value, usize), CheckpointError> {
        let levels = self.count(&format!("{VAE}decoder.up."));
        let blocks = self.count(&format!("{VAE}decoder.up.0.block."));
        let channels = (0..levels)
            .map(|level| {
                let name = format!("decoder.up.{level}.block.0.conv2.weight");
                self.shape::<4>(VAE, &name).map(|[outputs, ..]| outputs)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let [_, latent, _, _] = self.shape(VAE, "decoder.conv_in.weight")?;
        let config = json!({
            "latent_channels": latent,
            "block_out_channels": channels,
            "layers_per_block": blocks.saturating_sub(1),
            "down_block_types": vec!["DownEncoderBlock2D"; levels],
            "up_block_types": vec!["UpDecoderBlock2D"; levels],
            "norm_num_groups": 32,
            "scaling_factor": self.settings.number("scale_factor")?.unwrap_or(0.18215),
            "use_post_quant_conv": self.has(VAE, "post_quant_conv.weight"),
            "mid_block_add_attention": self.has(VAE, "decoder.mid.attn_1.q.weight"),
        });
        Ok((config, levels))
    }

    /// The text encoder's configuration, and the number of its layers that are used.
    fn text(&self, open_clip: bool) -> Result<(Value, usize), CheckpointError> {
        let (vocabulary, width, positions, inner, layers);
        if open_clip {
            [vocabulary, width] = self.shape(OPEN_CLIP, "token_embedding.weight")?;
            [positions, _] = self.shape(OPEN_CLIP, "positional_embedding")?;
            let first = "transformer.resblocks.";
            [inner, _] = self.shape(OPEN_CLIP, &format!("{first}0.mlp.c_fc.weight"))?;
            let found = self.count(&format!("{OPEN_CLIP}{first}"));
            // Stable Diffusion 2 listens to the last layer but one of 24; some files leave the last one out.
            layers = if found == 23 { 23 } else { found.saturating_sub(1) };
        } else {
            let with = format!("{CLIP}text_model.");
            let prefix = if self.has(&with, "embeddings.token_embedding.weight") {
                &with
            } else {
                CLIP
            };
            [vocabulary, width] = self.shape(prefix, "embeddings.token_embedding.weight")?;
            [positions, _] = self.shape(prefix, "embeddings.position_embedding.weight")?;
            [inner, _] = self.shape(prefix, "encoder.layers.0.mlp.fc1.weight")?;
            layers = self.count(&format!("{prefix}encoder.layers."));
        }
        let config = json!({
            "vocab_size": vocabulary,
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            // Both towers have heads of 64 channels.
            "num_attention_heads": (width / 64).max(1),
            "max_position_embeddings": positions,
            "hidden_act": if open_clip { "gelu" } else { "quick_gelu" },
        });
        Ok((config, layers))
    }

    /// The noise schedule, as diffusers converts it.
    fn schedule(&self, open_clip: bool, notes: &mut Vec<String>) -> Result<Value, CheckpointError> {
        if self.settings.text("beta_schedule").is_some_and(|s| s != "linear") {
            return Err(self.settings.refuse("beta_schedule", "only linear is supported"));
        }
        let velocity = match (self.settings.text("parameterization"), &self.settings.path) {
            (Some("v"), _) => true,
            (Some("eps"), _) | (None, Some(_)) => false,
            (Some(_), _) => return Err(self.settings.refuse("parameterization", "supported: eps, v")),
            (None, None) => {
                if open_clip {
                    notes.push(format!(
                        "nothing beside the file says what its network predicts: v-prediction at 768 pixels is assumed, \
                         as in SD 2.x-768-v. For an SD 2.x-base model put a file {} with the line “parameterization: eps” \
                         beside it",
                        self.path.with_extension("yaml").display()
                    ));
                }
                open_clip
            }
        };
        Ok(json!({
            "_class_name": "DDIMScheduler",
            "num_train_timesteps": self.settings.number("timesteps")?.unwrap_or(1000.0),
            "beta_start": self.settings.number("linear_start")?.unwrap_or(0.00085),
            "beta_end": self.settings.number("linear_end")?.unwrap_or(0.012),
            // What the original code calls linear is linear in the square roots.
            "beta_schedule": "scaled_linear",
            "clip_sample": false,
            "set_alpha_to_one": false,
            "steps_offset": 1,
            "timestep_spacing": "leading",
            "prediction_type": if velocity { "v_prediction" } else { "epsilon" },
        }))
    }
}
