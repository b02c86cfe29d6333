//! How strongly value neurons usually answer: mean and deviation over many prompts.

use super::ValueLayers;
use crate::{
    diffusion::Pipeline,
    mitigation::{
        MitigationError, Progress, Watch,
        files::{read_tensor_lists, write_tensor_lists, write_whole},
    },
    study::Problem,
};
use candle_core::{Device, Tensor};
use std::{collections::BTreeMap, io::Write, path::Path};

/// Mean activation of every value neuron, and its deviation, over the prompts they were measured on. An activation is
/// the mean |value| over the tokens of a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActivationStatistics {
    /// Means, per layer.
    pub mean: Vec<Vec<f32>>,
    /// Standard deviations (unbiased), per layer.
    pub deviation: Vec<Vec<f32>>,
    /// Number of prompts; 0 if the file does not say.
    pub prompts: usize,
}

/// The two files statistics are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticsFormat {
    /// Our own, safetensors: `mean.N` and `deviation.N`.
    Safetensors,
    /// NeMo's, `torch.save((means, deviations))`.
    Torch,
}

impl StatisticsFormat {
    /// The format that a file's name stands for.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("pt" | "pth") => Self::Torch,
            _ => Self::Safetensors,
        }
    }
}

/// Prompts that are encoded together.
const TOGETHER: usize = 8;
/// Largest file of our own format.
const MOST_BYTES: u64 = 64 << 20;
const PROMPTS: &str = "prompts";
/// Name of what is kept while measuring.
const STATISTICS: &str = "statistics";
const MOST_LAYERS: usize = 1024;

impl ActivationStatistics {
    /// Measures them; needs the text encoder and the value projections only.
    ///
    /// # Errors
    /// Fewer than two prompts; [`MitigationError::Stopped`].
    pub fn measure(
        pipeline: &Pipeline,
        prompts: &[&str],
        watch: &mut dyn Watch,
    ) -> Result<Self, MitigationError> {
        if prompts.len() < 2 {
            return Err(MitigationError::Request(
                "a deviation needs at least two prompts; give some hundreds that nobody memorized".to_owned(),
            ));
        }
        let layers = ValueLayers::of(pipeline)?;
        // Welford's sums, in f64.
        let mut sums: Vec<Vec<(f64, f64)>> = layers.widths().iter().map(|w| vec![(0.0, 0.0); *w]).collect();
        let mut seen = 0.0;
        let kept = watch.kept(STATISTICS).and_then(|k| take_up(&k, &layers.widths()));
        let mut begun = 0;
        if let Some((count, former)) = kept.filter(|(count, _)| *count <= prompts.len()) {
            (begun, seen, sums) = (count, count as f64, former);
        }
        for some in prompts[begun..].chunks(TOGETHER) {
            watch.go_on()?;
            let embeddings = pipeline.encode_prompts(some)?;
            for i in 0..some.len() {
                seen += 1.0;
                let activations = layers.activations(&embeddings.narrow(0, i, 1)?)?;
                for (sums, values) in sums.iter_mut().zip(activations) {
                    for ((mean, squares), value) in sums.iter_mut().zip(values) {
                        let value = f64::from(value);
                        let delta = value - *mean;
                        *mean += delta / seen;
                        *squares += delta * (value - *mean);
                    }
                }
            }
            watch.keep(STATISTICS, &progress(seen as usize, &sums))?;
            watch.at(seen, prompts.len() as f64);
        }
        let each = |f: &dyn Fn(&(f64, f64)) -> f64| -> Vec<Vec<f32>> {
            let layer = |layer: &Vec<(f64, f64)>| layer.iter().map(|s| f(s) as f32).collect();
            sums.iter().map(layer).collect()
        };
        Ok(Self {
            mean: each(&|s| s.0),
            deviation: each(&|s| (s.1 / (seen - 1.0)).sqrt()),
            prompts: prompts.len(),
        })
    }

    /// Checks that they fit layers of these widths.
    ///
    /// # Errors
    /// A sentence with both architectures.
    pub fn check(&self, widths: &[usize]) -> Result<(), String> {
        let own: Vec<usize> = self.mean.iter().map(Vec::len).collect();
        let deviations: Vec<usize> = self.deviation.iter().map(Vec::len).collect();
        if own != deviations {
            return Err(format!(
                "the statistics have means of {own:?} neurons but deviations of {deviations:?}"
            ));
        }
        if own != widths {
            return Err(format!(
                "the statistics are of layers with {own:?} neurons, this checkpoint's have {widths:?}; measure them on \
                 this checkpoint"
            ));
        }
        if self
            .mean
            .iter()
            .chain(&self.deviation)
            .flatten()
            .any(|v| !v.is_finite())
        {
            return Err("the statistics hold numbers that are not finite".to_owned());
        }
        Ok(())
    }

    /// Reads either format, by the file's name.
    ///
    /// # Errors
    /// A problem that names the file and what in it is not as expected.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        match StatisticsFormat::of(path) {
            StatisticsFormat::Torch => {
                let lists = read_tensor_lists(path)?;
                let count = lists.len();
                let [mean, deviation] = <[_; 2]>::try_from(lists).map_err(|_| {
                    misread(
                        path,
                        format!("it holds {count} lists; means and deviations were expected"),
                    )
                })?;
                Ok(Self {
                    mean,
                    deviation,
                    prompts: 0,
                })
            }
            StatisticsFormat::Safetensors => read_own(path).map_err(|reason| misread(path, reason)),
        }
    }

    /// Writes either format, by the file's name.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        match StatisticsFormat::of(path) {
            StatisticsFormat::Torch => write_tensor_lists(path, &[self.mean.clone(), self.deviation.clone()]),
            StatisticsFormat::Safetensors => {
                let bytes = self.own_bytes().map_err(|e| misread(path, e))?;
                write_whole(path, |file| file.write_all(&bytes))
            }
        }
    }

    fn own_bytes(&self) -> Result<Vec<u8>, String> {
        let mut tensors = BTreeMap::new();
        for (name, lists) in [("mean", &self.mean), ("deviation", &self.deviation)] {
            for (i, values) in lists.iter().enumerate() {
                let tensor =
                    Tensor::from_slice(values, values.len(), &Device::Cpu).map_err(|e| e.to_string())?;
                tensors.insert(format!("{name}.{i}"), tensor);
            }
        }
        let about = [(PROMPTS.to_owned(), self.prompts.to_string())].into();
        safetensors::serialize(tensors, Some(about)).map_err(|e| e.to_string())
    }
}

/// Welford's means and sums of squares, per layer.
type Sums = Vec<Vec<(f64, f64)>>;

fn progress(seen: usize, sums: &Sums) -> Progress {
    let mut progress = Progress::default();
    progress.put_count(PROMPTS, seen);
    for (i, layer) in sums.iter().enumerate() {
        let (mean, squares) = layer.iter().copied().unzip();
        progress.lists.insert(format!("mean.{i}"), mean);
        progress.lists.insert(format!("squares.{i}"), squares);
    }
    progress
}

/// Number of prompts and sums that were kept; `None` when they are of other layers.
fn take_up(kept: &Progress, widths: &[usize]) -> Option<(usize, Sums)> {
    let sums = widths.iter().enumerate().map(|(i, width)| {
        let list = |kind: &str| {
            let list = kept.lists.get(&format!("{kind}.{i}"))?;
            (list.len() == *width).then_some(list)
        };
        let (mean, squares) = (list("mean")?, list("squares")?);
        Some(mean.iter().copied().zip(squares.iter().copied()).collect())
    });
    let sums: Option<Sums> = sums.collect();
    // In whole groups, so that those that follow are encoded in the same ones.
    let count = kept.count(PROMPTS)?;
    Some((count, sums?))
}

fn misread(path: &Path, reason: impl Into<String>) -> Problem {
    Problem::new(
        "These statistics cannot be used",
        "Measure them with `pentimento locate --method nemo --statistics-from PROMPTS`, or name NeMo's statistics_*.pt.",
    )
    .at(path)
    .detail(reason)
}

fn read_own(path: &Path) -> Result<ActivationStatistics, String> {
    let about = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return Err(format!("it is no file of at most {MOST_BYTES} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| e.to_string())?;
    let prompts = header
        .metadata()
        .as_ref()
        .and_then(|m| m.get(PROMPTS)?.parse().ok())
        .unwrap_or(0);
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| e.to_string())?;
    let layers = (0..MOST_LAYERS)
        .take_while(|i| tensors.contains_key(&format!("mean.{i}")))
        .count();
    if layers == 0 || tensors.len() != 2 * layers {
        return Err(format!(
            "it holds {} tensors; mean.N and deviation.N were expected for every layer",
            tensors.len()
        ));
    }
    let list = |kind: &str| -> Result<Vec<Vec<f32>>, String> {
        (0..layers)
            .map(|i| {
                let name = format!("{kind}.{i}");
                let tensor = tensors.get(&name).ok_or_else(|| format!("it holds no {name}"))?;
                tensor.to_vec1::<f32>().map_err(|e| format!("{name}: {e}"))
            })
            .collect()
    };
    Ok(ActivationStatistics {
        mean: list("mean")?,
        deviation: list("deviation")?,
        prompts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics() -> ActivationStatistics {
        ActivationStatistics {
            mean: vec![vec![0.5, 1.0], vec![2.0]],
            deviation: vec![vec![0.1, 0.2], vec![0.3]],
            prompts: 7,
        }
    }

    #[test]
    fn both_formats_keep_the_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for (name, prompts) in [("s.safetensors", 7), ("s.pt", 0)] {
            let path = folder.path().join(name);
            statistics().write(&path).unwrap();
            let read = ActivationStatistics::read(&path).unwrap();
            assert_eq!(
                read,
                ActivationStatistics {
                    prompts,
                    ..statistics()
                }
            );
        }
    }

    #[test]
    fn another_architecture_is_named() {
        assert!(statistics().check(&[2, 1]).is_ok());
        let reason = statistics().check(&[320, 320]).unwrap_err();
        assert!(
            reason.contains("[2, 1]") && reason.contains("[320, 320]"),
            "{reason}"
        );
        let mut odd = statistics();
        odd.deviation.pop();
        assert!(odd.check(&[2, 1]).unwrap_err().contains("deviations"));
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, [8, 0, 0, 0, 0, 0, 0, 0, b'{', b'}']).unwrap();
        assert!(ActivationStatistics::read(&path).is_err());
        let one = ActivationStatistics::default();
        let path = folder.path().join("x.pt");
        one.write(&path).unwrap();
        assert_eq!(ActivationStatistics::read(&path).unwrap(), one);
        write_tensor_lists(&path, &[vec![vec![1.0]]]).unwrap();
        let problem = ActivationStatistics::read(&path).unwrap_err().to_string();
        assert!(problem.contains("1 lists"), "{problem}");
    }
}
