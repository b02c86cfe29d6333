//! Names of the original code to names of diffusers (the renaming that diffusers does in
//! `loaders/single_file_utils.py`, name by name).

use super::{CLIP, OPEN_CLIP, UNET, VAE};
use crate::diffusion::{checkpoint::Part, text_encoder, weights::Placement};

/// What must be known about a file to rename its tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Residual blocks per level of the UNet.
    pub layers: usize,
    /// Levels of the VAE.
    pub vae_levels: usize,
    /// Layers of OpenCLIP's text tower that are used; `None` for CLIP's in transformers' names.
    pub open_clip_layers: Option<usize>,
}

impl Names {
    /// What becomes of a tensor when one part of the checkpoint is loaded. Names that the part should have but that
    /// are not understood are kept, to be reported as superfluous.
    pub fn place(&self, part: Part, name: &str) -> Placement {
        let kept = |renamed: Option<String>| Placement::Whole(renamed.unwrap_or_else(|| name.to_owned()));
        match part {
            Part::UNet => name
                .strip_prefix(UNET)
                .map_or(Placement::Skip, |rest| kept(self.unet(rest))),
            Part::Vae => match name.strip_prefix(VAE) {
                Some(rest) if rest.starts_with("decoder.") || rest.starts_with("post_quant_conv.") => {
                    kept(self.vae(rest))
                }
                _ => Placement::Skip,
            },
            Part::Text => {
                if let Some(layers) = self.open_clip_layers {
                    let rest = name.strip_prefix(OPEN_CLIP);
                    rest.map_or(Placement::Skip, |rest| {
                        open_clip(rest, layers).unwrap_or_else(|| kept(None))
                    })
                } else {
                    let rest = name.strip_prefix(CLIP).and_then(text_encoder::canonical);
                    rest.map_or(Placement::Skip, Placement::Whole)
                }
            }
        }
    }

    fn unet(&self, name: &str) -> Option<String> {
        let (head, rest) = name.split_once('.')?;
        if head == "time_embed" {
            return match number(rest)? {
                (0, rest) => Some(format!("time_embedding.linear_1.{rest}")),
                (2, rest) => Some(format!("time_embedding.linear_2.{rest}")),
                _ => None,
            };
        }
        let (index, rest) = number(rest)?;
        match head {
            "out" if index == 0 => Some(format!("conv_norm_out.{rest}")),
            "out" if index == 2 => Some(format!("conv_out.{rest}")),
            "middle_block" => match index {
                0 => Some(format!("mid_block.resnets.0.{}", resnet(rest)?)),
                1 => Some(format!("mid_block.attentions.0.{rest}")),
                2 => Some(format!("mid_block.resnets.1.{}", resnet(rest)?)),
                _ => None,
            },
            "input_blocks" => {
                let (slot, rest) = number(rest)?;
                let Some(index) = index.checked_sub(1) else {
                    return (slot == 0).then(|| format!("conv_in.{rest}"));
                };
                let (level, layer) = (index / (self.layers + 1), index % (self.layers + 1));
                let level = format!("down_blocks.{level}");
                match slot {
                    0 if layer == self.layers => {
                        let rest = rest.strip_prefix("op.")?;
                        Some(format!("{level}.downsamplers.0.conv.{rest}"))
                    }
                    0 => Some(format!("{level}.resnets.{layer}.{}", resnet(rest)?)),
                    1 if layer < self.layers => Some(format!("{level}.attentions.{layer}.{rest}")),
                    _ => None,
                }
            }
            "output_blocks" => {
                let (slot, rest) = number(rest)?;
                let (level, layer) = (index / (self.layers + 1), index % (self.layers + 1));
                let level = format!("up_blocks.{level}");
                if slot > 0
                    && let Some(rest) = rest.strip_prefix("conv.")
                {
                    // After the attention, or in its place.
                    return Some(format!("{level}.upsamplers.0.conv.{rest}"));
                }
                match slot {
                    0 => Some(format!("{level}.resnets.{layer}.{}", resnet(rest)?)),
                    1 => Some(format!("{level}.attentions.{layer}.{rest}")),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn vae(&self, name: &str) -> Option<String> {
        let Some(rest) = name.strip_prefix("decoder.") else {
            return Some(name.to_owned());
        };
        let block = |rest: &str| rest.replace("nin_shortcut.", "conv_shortcut.");
        let (head, tail) = rest.split_once('.')?;
        let renamed = match head {
            "conv_in" | "conv_out" => rest.to_owned(),
            "norm_out" => format!("conv_norm_out.{tail}"),
            "mid" => match tail.split_once('.')? {
                ("block_1", tail) => format!("mid_block.resnets.0.{}", block(tail)),
                ("block_2", tail) => format!("mid_block.resnets.1.{}", block(tail)),
                ("attn_1", tail) => {
                    let (part, tail) = tail.split_once('.')?;
                    let part = match part {
                        "norm" => "group_norm",
                        "q" => "to_q",
                        "k" => "to_k",
                        "v" => "to_v",
                        "proj_out" => "to_out.0",
                        _ => return None,
                    };
                    format!("mid_block.attentions.0.{part}.{tail}")
                }
                _ => return None,
            },
            "up" => {
                let (level, tail) = number(tail)?;
                // Diffusers counts from the lowest resolution.
                let level = self.vae_levels.checked_sub(level + 1)?;
                match tail.split_once('.')? {
                    ("block", tail) => {
                        let (layer, tail) = number(tail)?;
                        format!("up_blocks.{level}.resnets.{layer}.{}", block(tail))
                    }
                    ("upsample", tail) => format!("up_blocks.{level}.upsamplers.0.{tail}"),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(format!("decoder.{renamed}"))
    }
}

/// Inside a residual block.
fn resnet(name: &str) -> Option<String> {
    const PARTS: [(&str, &str); 6] = [
        ("in_layers.0.", "norm1."),
        ("in_layers.2.", "conv1."),
        ("emb_layers.1.", "time_emb_proj."),
        ("out_layers.0.", "norm2."),
        ("out_layers.3.", "conv2."),
        ("skip_connection.", "conv_shortcut."),
    ];
    PARTS.iter().find_map(|(ldm, diffusers)| {
        let rest = name.strip_prefix(ldm)?;
        Some(format!("{diffusers}{rest}"))
    })
}

/// A tensor of OpenCLIP's text tower; `None` when it is not understood.
fn open_clip(name: &str, layers: usize) -> Option<Placement> {
    let whole = |name: String| Some(Placement::Whole(name));
    match name {
        "positional_embedding" => return whole("embeddings.position_embedding.weight".to_owned()),
        "token_embedding.weight" => return whole("embeddings.token_embedding.weight".to_owned()),
        // For comparing texts with pictures, and the mask of causal attention.
        "text_projection" | "text_projection.weight" | "logit_scale" | "attn_mask" => {
            return Some(Placement::Skip);
        }
        _ => {}
    }
    if name.starts_with("visual.") {
        return Some(Placement::Skip);
    }
    if let Some(rest) = name.strip_prefix("ln_final.") {
        return whole(format!("final_layer_norm.{rest}"));
    }
    let (layer, rest) = number(name.strip_prefix("transformer.resblocks.")?)?;
    if layer >= layers {
        // Stable Diffusion 2 listens to the last layer but one.
        return Some(Placement::Skip);
    }
    let layer = format!("encoder.layers.{layer}");
    if let Some(kind) = rest.strip_prefix("attn.in_proj_") {
        let part = |p: &str| format!("{layer}.self_attn.{p}_proj.{kind}");
        return Some(Placement::Parts(["q", "k", "v"].map(part).to_vec()));
    }
    const PARTS: [(&str, &str); 5] = [
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("attn.out_proj.", "self_attn.out_proj."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ];
    PARTS.iter().find_map(|(ldm, diffusers)| {
        let rest = rest.strip_prefix(ldm)?;
        whole(format!("{layer}.{diffusers}{rest}"))
    })
}

/// `7.rest` as 7 and `rest`.
pub(super) fn number(name: &str) -> Option<(usize, &str)> {
    let (number, rest) = name.split_once('.')?;
    // Far more than any network has, and small enough to count with.
    let number = number.parse().ok().filter(|&n: &usize| n < 1000)?;
    Some((number, rest))
}
