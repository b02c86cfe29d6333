//! Maps of a picture's signals on disk: a small safetensors file with `ending` and `difference`, each `[h, w]`, f32.

use super::run_lock::not_a_device;
use crate::study::{LatentMap, Problem, SignalMaps};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

/// Largest file that is read: two maps of the largest picture have half a megabyte.
const MAX_BYTES: u64 = 16 << 20;
/// Longest side of a map, in latents.
const MAX_SIDE: usize = 1024;

/// The bytes of a file with these maps.
///
/// # Errors
/// A sentence about a map whose values do not fill its sides.
pub fn signal_maps_bytes(maps: &SignalMaps) -> Result<Vec<u8>, String> {
    let mut planes = BTreeMap::new();
    for (name, map) in [("ending", &maps.ending), ("difference", &maps.difference)] {
        if let Some(map) = map {
            let bytes: Vec<u8> = map.values.iter().flat_map(|v| v.to_le_bytes()).collect();
            planes.insert(name, ([map.height, map.width], bytes));
        }
    }
    let views = planes
        .iter()
        .map(|(name, (shape, bytes))| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| e.to_string())
}

/// Reads the maps of a picture, see [`Signals::maps`](crate::study::Signals::maps). What else is in the file is passed
/// over.
///
/// # Errors
/// A problem that names the file, and the map whose type, shape or values are not as expected.
pub fn read_signal_maps(path: &Path) -> Result<SignalMaps, Problem> {
    let failed = |e: std::io::Error| Problem::io("The maps of a picture cannot be read", path, &e);
    let refused = |reason: String| {
        Problem::new(
            "The maps of a picture cannot be read",
            "Everything else of it is there; draw it again to get its maps.",
        )
        .at(path)
        .detail(reason)
    };
    not_a_device(path)?;
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MAX_BYTES {
        return Err(refused(format!(
            "it has {} MB; at most {} are read",
            length >> 20,
            MAX_BYTES >> 20
        )));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let all =
        SafeTensors::deserialize(&bytes).map_err(|e| refused(format!("not a safetensors file: {e}")))?;
    let map = |name: &str| -> Result<Option<LatentMap>, Problem> {
        let Ok(view) = all.tensor(name) else {
            return Ok(None);
        };
        let &[height, width] = view.shape() else {
            return Err(refused(format!(
                "{name} is {:?}; [height, width] is expected",
                view.shape()
            )));
        };
        if view.dtype() != Dtype::F32 {
            return Err(refused(format!(
                "{name} is of type {}; F32 is expected",
                view.dtype()
            )));
        }
        if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
            return Err(refused(format!(
                "{name} is {height} × {width}; sides of 1 to {MAX_SIDE} are expected"
            )));
        }
        let (values, _) = view.data().as_chunks();
        let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(refused(format!("{name} is not finite at value {at}")));
        }
        Ok(Some(LatentMap {
            width,
            height,
            values,
        }))
    };
    Ok(SignalMaps {
        ending: map("ending")?,
        difference: map("difference")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_come_back_and_damaged_ones_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("maps.safetensors");
        let maps = SignalMaps {
            ending: Some(LatentMap {
                width: 3,
                height: 1,
                values: vec![0.25, 0.5, 1.0],
            }),
            difference: None,
        };
        std::fs::write(&path, signal_maps_bytes(&maps).unwrap()).unwrap();
        assert_eq!(read_signal_maps(&path).unwrap(), maps);

        let with = |shape: &[usize], values: &[f32]| {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).unwrap();
            std::fs::write(&path, safetensors::serialize([("ending", view)], None).unwrap()).unwrap();
            read_signal_maps(&path).unwrap_err().to_string()
        };
        assert!(with(&[2], &[0.0; 2]).contains("ending is [2]"));
        assert!(with(&[1, 2], &[0.0, f32::NAN]).contains("ending is not finite at value 1"));
        assert!(with(&[0, 2], &[]).contains("0 × 2"));
        std::fs::write(&path, b"torn").unwrap();
        assert!(
            read_signal_maps(&path)
                .unwrap_err()
                .to_string()
                .contains("not a safetensors file")
        );
        assert!(read_signal_maps(folder.path()).is_err());
    }
}
