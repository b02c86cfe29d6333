//! `torch.Generator("cuda").manual_seed(seed)` followed by `torch.randn(…, device="cuda")`, without a GPU.
//!
//! Philox4x32-10 (Salmon et al., SC 2011) and the Box–Muller transform of `curand_normal4`. Facts from cuRAND's
//! headers and PyTorch's `ATen/native/cuda/DistributionTemplates.h`: blocks of 256 threads, as many as the tensor has
//! 256ths, at most [`GRID`]; a thread's counter holds the calls so far in its low half and the thread's index in its
//! high half; every thread draws four normals at a time, for the elements `index`, `index + threads`, … So a tensor
//! that fits one grid takes the first normal of each thread, and its values do not depend on the device. A larger one
//! does depend on the device's number of multiprocessors and is drawn here as on an A100.
//!
//! Uniform bits are exact. The GPU's fast sine and cosine err by up to 2⁻²¹, so that normals agree to about 2e-6.

use std::f32::consts::TAU;

/// Threads in a block.
const BLOCK: usize = 256;
/// Blocks that an A100 runs at once: 108 multiprocessors of 2048 threads. The smallest grid in common use, a T4's, has
/// 160 blocks, 40 960 elements; up to there all devices agree.
const GRID: usize = 108 * 2048 / BLOCK;
/// Normals that a thread draws at a time.
const UNROLL: usize = 4;

/// PyTorch's CUDA generator.
#[derive(Clone)]
pub struct TorchCudaRng {
    key: [u32; 2],
    /// Fours of 32-bit numbers that every thread has drawn.
    calls: u64,
    grid: usize,
}

impl TorchCudaRng {
    /// The generator after `manual_seed(seed)`. All 64 bits count.
    pub fn new(seed: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            calls: 0,
            grid: GRID,
        }
    }

    /// `count` standard normal values, as one call of `torch.randn(count)` draws them.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        let threads = BLOCK * count.div_ceil(BLOCK).min(self.grid);
        // Every round of the grid fills this many elements; a tensor of no elements draws nothing.
        let mut rounds = values.chunks_mut(threads.max(1) * UNROLL);
        rounds.by_ref().for_each(|round| {
            for thread in 0..threads.min(round.len()) {
                let normals = normals(philox(self.calls, thread as u64, self.key));
                for (place, normal) in round[thread..].iter_mut().step_by(threads).zip(normals) {
                    *place = normal;
                }
            }
            self.calls += 1;
        });
        values
    }
}

/// Ten rounds of Philox4x32 on a counter of two halves.
fn philox(low: u64, high: u64, mut key: [u32; 2]) -> [u32; 4] {
    let mut x = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
    for _ in 0..10 {
        let (a, b) = (u64::from(x[0]) * 0xD251_1F53, u64::from(x[2]) * 0xCD9E_8D57);
        x = [
            (b >> 32) as u32 ^ x[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ x[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    x
}

/// cuRAND's `curand_normal4`: two pairs, each sine first.
fn normals(bits: [u32; 4]) -> [f32; 4] {
    /// 2⁻³² as cuRAND writes it.
    const STEP: f32 = 2.328_306_4e-10;
    let pair = |x: u32, y: u32| {
        let u = x as f32 * STEP + STEP / 2.0;
        let v = y as f32 * (STEP * TAU) + STEP * TAU / 2.0;
        let radius = (-2.0 * u.ln()).sqrt();
        [radius * v.sin(), radius * v.cos()]
    };
    let ([a, b], [c, d]) = (pair(bits[0], bits[1]), pair(bits[2], bits[3]));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_answers() {
        // Random123, tests/kat_vectors.
        let ones = u64::MAX;
        assert_eq!(
            philox(0, 0, [0, 0]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox(ones, ones, [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn normals_are_those_printed_on_a_gpu() {
        // Seed 0, `torch.randn(8, 8, device="cuda")`, to four places, from the public notes of a lecture on CUDA.
        let printed = [
            -0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284, -1.0745, -0.3631, -1.6711,
            2.2655, 0.3117, -0.1842, 1.2866, 1.1820, -0.1271, 1.2169, 1.4353, 1.0605, -0.4941, -1.4244,
            -0.7244, -1.2973, 0.0697, -0.0074, 1.8969, 0.6878, -0.0779, -0.8373, 1.3506, -0.2879, -0.5965,
            -0.3283, -0.9086, -0.8059, -0.7407, -0.0504, 0.5435, 1.5150, 0.0141, 0.4532, 1.6349, 0.7124,
            -0.1806, 1.0252, -1.4622, -0.7554, -0.1836, 0.3824, 0.3918, -0.0830, 0.8971, -1.1123, 0.1116,
            0.4863, -0.5499, -0.3231, -0.5469, 0.9049, 0.2837, 0.1210, 0.4730, -1.0823,
        ];
        let drawn = TorchCudaRng::new(0).randn(64);
        for (i, (drawn, printed)) in drawn.iter().zip(printed).enumerate() {
            assert!(
                (drawn - printed).abs() < 6e-5,
                "element {i}: {drawn}, not {printed}"
            );
        }
    }

    #[test]
    fn a_tensor_larger_than_the_grid_takes_all_four_normals() {
        let small = TorchCudaRng {
            grid: 2,
            ..TorchCudaRng::new(9)
        };
        let threads = 2 * BLOCK;
        let drawn = small.clone().randn(5 * threads);
        let at = |call: u64, thread: usize| normals(philox(call, thread as u64, [9, 0]));
        for thread in [0, 1, 300, threads - 1] {
            for k in 0..UNROLL {
                assert_eq!(drawn[k * threads + thread], at(0, thread)[k]);
            }
            assert_eq!(drawn[4 * threads + thread], at(1, thread)[0]);
        }
    }

    #[test]
    fn calls_go_on_where_the_last_one_ended() {
        let mut rng = TorchCudaRng::new(1 << 40);
        let (first, second) = (rng.randn(300), rng.randn(300));
        assert_ne!(first, second);
        assert_eq!(second[299], normals(philox(1, 299, [0, 256]))[0]);
    }
}
