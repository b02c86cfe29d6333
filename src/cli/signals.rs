//! `generate --signals`: signs of memorization beside each picture.

use crate::{
    diffusion::{Observer, ProbeSet, Site, Step},
    memorization::{Gathered, SignalWatch},
    study::{LatentMap, Problem},
};
use candle_core::{Device, Tensor};
use std::{collections::HashMap, ops::ControlFlow, path::Path};

/// Shows a drawing to one observer, and to a second one that may look inside.
pub struct Both<'a> {
    /// Sees the steps and may stop.
    pub first: &'a mut (dyn Observer + Send),
    /// Sees everything.
    pub second: Option<&'a mut SignalWatch>,
}

impl Observer for Both<'_> {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        if let Some(second) = &mut self.second {
            second.step(step)?;
        }
        self.first.step(step)
    }

    fn probe(&self) -> ProbeSet {
        self.second.as_ref().map_or_else(ProbeSet::none, |s| s.probe())
    }

    fn attention(&mut self, site: &Site<'_>, probabilities: &Tensor) {
        if let Some(second) = &mut self.second {
            second.attention(site, probabilities);
        }
    }
}

/// Writes what was gathered of one picture: `noise_norm [steps]`, `ending` and `difference` `[h, w]`, `localised`,
/// `entropy_late`, `entropy_first` `[1]`, as far as they are there.
pub fn write(path: &Path, seen: &Gathered) -> Result<(), Problem> {
    let tensors = || -> candle_core::Result<HashMap<&'static str, Tensor>> {
        let mut tensors = HashMap::new();
        let signals = &seen.signals;
        let line = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
        let plane = |map: &LatentMap| Tensor::from_slice(&map.values, (map.height, map.width), &Device::Cpu);
        if !seen.noise_norm.is_empty() {
            tensors.insert("noise_norm", line(&seen.noise_norm)?);
        }
        for (name, map) in [
            ("ending", &seen.maps.ending),
            ("difference", &seen.maps.difference),
        ] {
            if let Some(map) = map {
                tensors.insert(name, plane(map)?);
            }
        }
        for (name, value) in [
            ("localised", signals.localised_mean()),
            ("entropy_late", signals.entropy_late),
            ("entropy_first", signals.entropy_first),
        ] {
            if let Some(value) = value {
                tensors.insert(name, line(&[value])?);
            }
        }
        Ok(tensors)
    };
    tensors()
        .and_then(|tensors| candle_core::safetensors::save(&tensors, path))
        .map_err(|e| super::failed("The signals cannot be written", &e).at(path))
}
