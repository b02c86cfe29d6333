//! Elementary functions in a form that compilers vectorise, and the choice of instruction set at run time.

#![allow(unsafe_code, reason = "vector instructions behind a run-time check")]

/// Declares a function and compiles it for AVX-512, AVX2 and the baseline; the best one that the processor has is
/// chosen at each call.
macro_rules! vectorised {
    ($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(unsafe_code)] // for the files that use the macro
        pub fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    body($($arg),*)
                }
                if is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("fma")
                {
                    // SAFETY: the processor has these instructions; avx512vl implies avx512f.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has these instructions.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(super) use vectorised;

/// eˣ with a relative error of some 1e-7; NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to a whole number and leaves that number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first with so few bits that its product is exact.
    let rest = (x - whole * 0.693_359_4) - whole * -2.121_944_4e-4;
    let mut p = 1.0 / 5040.0;
    p = p * rest + 1.0 / 720.0;
    p = p * rest + 1.0 / 120.0;
    p = p * rest + 1.0 / 24.0;
    p = p * rest + 1.0 / 6.0;
    p = p * rest + 0.5;
    p = p * rest + 1.0;
    p = p * rest + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    f32::from_bits(exponent) * p
}

/// x · sigmoid(x).
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// Exact GELU, x · Φ(x); the error function by Abramowitz and Stegun 7.1.26, absolute error below 2e-7.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_72;
    p = p * t + 0.254_829_6;
    let erf = (1.0 - p * t * exp(-z * z)).copysign(x);
    0.5 * x * (1.0 + erf)
}

vectorised! {
    /// Replaces a row by the numerators of its softmax and returns their sum.
    pub fn softmax_numerators(row: &mut [f32]) -> f32 {
        let mut top = [f32::NEG_INFINITY; 16];
        let (chunks, rest) = row.as_chunks::<16>();
        for chunk in chunks {
            for i in 0..16 {
                top[i] = if chunk[i] > top[i] { chunk[i] } else { top[i] };
            }
        }
        let top = top.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let mut sums = [0f32; 16];
        let (chunks, rest) = row.as_chunks_mut::<16>();
        for chunk in chunks {
            for i in 0..16 {
                chunk[i] = exp(chunk[i] - top);
                sums[i] += chunk[i];
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for value in rest {
            *value = exp(*value - top);
            sum += *value;
        }
        sum
    }
}

vectorised! {
    /// Sum and sum of squares, accumulated in f64 by blocks.
    pub fn moments(values: &[f32]) -> (f64, f64) {
        let (mut sum, mut squares) = (0f64, 0f64);
        for block in values.chunks(1024) {
            let (mut s, mut q) = ([0f32; 16], [0f32; 16]);
            let (chunks, rest) = block.as_chunks::<16>();
            for chunk in chunks {
                for i in 0..16 {
                    s[i] += chunk[i];
                    q[i] += chunk[i] * chunk[i];
                }
            }
            sum += s.iter().chain(rest).map(|&v| f64::from(v)).sum::<f64>();
            squares += q.iter().map(|&v| f64::from(v)).sum::<f64>();
            squares += rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        }
        (sum, squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere_and_keeps_nan() {
        for i in -860..870 {
            let x = i as f32 * 0.1 + 0.013;
            let truth = f64::from(x).exp();
            assert!(((f64::from(exp(x)) - truth) / truth).abs() < 3e-7, "exp({x})");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(f32::INFINITY) > 1e38);
    }

    #[test]
    fn gelu_is_the_exact_one() {
        // From Python: x * 0.5 * (1 + math.erf(x / math.sqrt(2))).
        for (x, truth) in [
            (-3.0, -0.004_049_694),
            (-0.5, -0.154_268_77),
            (0.0, 0.0),
            (0.3, 0.185_373),
            (1.0, 0.841_344_8),
            (4.0, 3.999_873_4),
        ] {
            assert!((gelu(x) - truth).abs() < 1e-6, "gelu({x}) = {}", gelu(x));
        }
    }

    #[test]
    fn softmax_sums_up_and_orders() {
        for n in [1, 7, 16, 77] {
            let mut row: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin() * 5.0 - 100.0).collect();
            let before = row.clone();
            let sum = softmax_numerators(&mut row);
            assert!((row.iter().sum::<f32>() / sum - 1.0).abs() < 1e-5);
            assert!(row.iter().all(|v| (0.0..=1.0).contains(v)));
            let ratio = row[0] / row[n - 1];
            assert!((ratio / (before[0] - before[n - 1]).exp() - 1.0).abs() < 1e-5);
        }
    }
}
