//! `torch.Generator("cpu").manual_seed(seed)` followed by `torch.randn`.
//!
//! Facts from PyTorch's `ATen/core/MT19937RNGEngine.h`, `ATen/native/cpu/DistributionTemplates.h` and
//! `ATen/core/DistributionsHelper.h`: MT19937; 24-bit uniforms and a blockwise Box–Muller transform for 16 values or
//! more, 53-bit uniforms and the pairwise transform for fewer. Uniforms are equal bit for bit; normals differ from
//! torch's vectorised logarithm and cosine by at most 2.5e-7 where that rounds the last place differently.
//!
//! In half precision torch (2.15, measured) computes the same normals in f32 and rounds them once; only a rest of
//! fewer than 16 values comes from other draws.

const N: usize = 624;
const M: usize = 397;
/// Values in one block of the vectorised transform.
const BLOCK: usize = 16;

/// PyTorch's CPU generator.
#[derive(Clone)]
pub struct TorchRng {
    state: Box<[u32; N]>,
    next: usize,
    /// Second half of the last pair drawn by the short path.
    spare: Option<f64>,
}

impl TorchRng {
    /// The generator after `manual_seed(seed)`. Like torch, only the low 32 bits of the seed count.
    pub fn new(seed: u64) -> Self {
        let mut state = Box::new([0u32; N]);
        state[0] = seed as u32;
        for i in 1..N {
            let previous = state[i - 1];
            state[i] = (previous ^ (previous >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        Self {
            state,
            next: N,
            spare: None,
        }
    }

    fn twist(&mut self) {
        let s = &mut self.state;
        for i in 0..N {
            let y = (s[i] & 0x8000_0000) | (s[(i + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 0 { 0 } else { 0x9908_b0df };
            s[i] = s[(i + M) % N] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn uniform24(&mut self) -> f32 {
        (self.next_u32() & 0x00ff_ffff) as f32 * (1.0 / 16_777_216.0)
    }

    fn uniform53(&mut self) -> f64 {
        let high = u64::from(self.next_u32());
        let low = u64::from(self.next_u32());
        (((high << 32) | low) & ((1 << 53) - 1)) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// `count` standard normal values, as one call of `torch.randn(count)` draws them.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK {
            return (0..count).map(|_| self.normal() as f32).collect();
        }
        let mut values: Vec<f32> = (0..count).map(|_| self.uniform24()).collect();
        let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
        blocks.iter_mut().for_each(box_muller);
        if !rest.is_empty() {
            // torch fills up by drawing the last 16 values once more.
            let mut last = [0f32; BLOCK];
            last.fill_with(|| self.uniform24());
            box_muller(&mut last);
            values[count - BLOCK..].copy_from_slice(&last);
        }
        values
    }

    /// `count` standard normal values as one call of `torch.randn(count, dtype=torch.float16)` (or `bfloat16`) computes
    /// them, before it rounds them to that type.
    pub fn randn_half(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK || count.is_multiple_of(BLOCK) {
            return self.randn(count);
        }
        // Unlike in f32, no uniforms are drawn for the rest before its block is filled up.
        let mut values = self.randn(count / BLOCK * BLOCK);
        let rest = self.randn(BLOCK);
        values.truncate(count - BLOCK);
        values.extend(rest);
        values
    }

    fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let angle = 2.0 * std::f64::consts::PI * self.uniform53();
        let radius = (-2.0 * (-self.uniform53()).ln_1p()).sqrt();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }
}

fn box_muller(block: &mut [f32; BLOCK]) {
    for j in 0..BLOCK / 2 {
        // 1 − u moves [0, 1) to (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - block[j]).ln()).sqrt();
        let angle = 2.0 * std::f32::consts::PI * block[j + BLOCK / 2];
        block[j] = radius * angle.cos();
        block[j + BLOCK / 2] = radius * angle.sin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twister_is_the_published_one() {
        // First outputs for seed 5489, from Matsumoto and Nishimura's reference program.
        let mut rng = TorchRng::new(5489);
        assert_eq!(
            [rng.next_u32(), rng.next_u32(), rng.next_u32()],
            [3_499_211_612, 581_869_302, 3_890_346_734]
        );
    }

    #[test]
    fn only_the_low_half_of_the_seed_counts() {
        assert_eq!(TorchRng::new(7).randn(20), TorchRng::new(7 | 1 << 40).randn(20));
        assert_ne!(TorchRng::new(7).randn(20), TorchRng::new(8).randn(20));
    }

    #[test]
    fn normals_are_finite_and_standard() {
        let values = TorchRng::new(1).randn(20_000);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n - mean * mean;
        assert!(values.iter().all(|v| v.is_finite()));
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "mean {mean}, variance {variance}"
        );
    }
}
