//! What computes: the choice of a device, and a few words about it for the window's bar and for `doctor`.

use crate::study::Problem;
use candle_core::Device;
use std::{
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

/// The widest vector instructions the program will use on this processor.
pub fn vector_level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            "AVX-512"
        } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            "AVX2"
        } else {
            "SSE2"
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "portable"
    }
}

/// Where pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A graphics processor that this build can compute on, if there is one; else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
    /// Apple's graphics processor.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "metal" => Ok(Self::Metal),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "supported: auto, cpu, cuda:N (N counts from 0), metal".to_owned()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// A device that was asked for by name but that this build or this machine does not have. [`Auto`](Self::Auto) falls
    /// back to the CPU instead, and says so in the log.
    pub fn open(self) -> Result<Device, Problem> {
        let opened = match self {
            Self::Cpu => return Ok(Device::Cpu),
            Self::Auto => {
                let best = match (cfg!(feature = "cuda"), cfg!(feature = "metal")) {
                    (true, _) => Self::Cuda(0),
                    (false, true) => Self::Metal,
                    (false, false) => return Ok(Device::Cpu),
                };
                return Ok(best.open().unwrap_or_else(|problem| {
                    log::warn!("{problem}; computing on the CPU");
                    Device::Cpu
                }));
            }
            Self::Cuda(_) if !cfg!(feature = "cuda") => return Err(self.not_built("cuda")),
            Self::Metal if !cfg!(feature = "metal") => return Err(self.not_built("metal")),
            Self::Cuda(_) | Self::Metal => self.handle(),
        };
        opened.map_err(|e| {
            Problem::new(
                format!("The device {self} cannot be used"),
                "Check its driver and its number, or compute on the CPU with --device cpu.",
            )
            .detail(e.to_string().lines().next().unwrap_or_default())
        })
    }

    /// The one handle of this process on a graphics processor: it is opened once, for whoever asks first.
    fn handle(self) -> candle_core::Result<Device> {
        static OPEN: Mutex<Vec<(DeviceChoice, Device)>> = Mutex::new(Vec::new());
        // A panic while opening leaves whole entries behind.
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = open.iter().find(|(choice, _)| *choice == self) {
            return Ok(device.clone());
        }
        let device = match self {
            Self::Cuda(n) => Device::new_cuda(n)?,
            Self::Metal => Device::new_metal(0)?,
            Self::Cpu | Self::Auto => Device::Cpu,
        };
        open.push((self, device.clone()));
        Ok(device)
    }

    fn not_built(self, feature: &str) -> Problem {
        Problem::new(
            format!("This program was built without support for the device {self}"),
            format!("Build it with `cargo build --release --features {feature}`, or use --device cpu."),
        )
    }
}

/// `CPU · AVX2 · f32`. The first call may open a graphics processor, which takes a moment.
pub fn device_words(choice: DeviceChoice) -> String {
    match choice.open() {
        Ok(Device::Cuda(_)) => "CUDA · f32".to_owned(),
        Ok(Device::Metal(_)) => "Metal · f32".to_owned(),
        Ok(Device::Cpu) => format!("CPU · {} · f32", vector_level()),
        Err(_) => format!("{choice}: not available"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_on_the_command_line() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "metal"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(
                text.parse::<DeviceChoice>().unwrap_err().contains("cuda:N"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_explained() {
        assert!(matches!(DeviceChoice::Cpu.open(), Ok(Device::Cpu)));
        if !cfg!(any(feature = "cuda", feature = "metal")) {
            assert!(matches!(DeviceChoice::Auto.open(), Ok(Device::Cpu)));
            let problem = DeviceChoice::Cuda(1).open().unwrap_err().to_string();
            assert!(
                problem.contains("cuda:1") && problem.contains("--features cuda"),
                "{problem}"
            );
            assert!(device_words(DeviceChoice::Metal).contains("metal"));
        }
        // With support built in: a number that no machine has.
        let problem = DeviceChoice::Cuda(4096).open().unwrap_err().to_string();
        assert!(
            problem.contains("cuda:4096") && problem.contains("--device cpu"),
            "{problem}"
        );
    }
}
