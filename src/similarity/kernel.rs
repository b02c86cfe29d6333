//! The inner loops of MS-SSIM: an 11-tap separable Gaussian over padded planes.
//!
//! All `unsafe` of the metric lives here, for two reasons only: the loops read unaligned groups of
//! lanes through raw pointers (checked once per call by the `assert!`s at the top instead of eleven
//! times per pixel group), and functions compiled for AVX2, AVX-512 or NEON may be called only after the
//! processor was asked for them.
//!
//! The loops are written over `[f32; N]`; inside a function with the right target features the
//! compiler turns those into vector registers, so one body serves every processor: no path has arithmetic of its own.
//! Statistics and maps are equal bit by bit on all paths with fused multiply-add; sums over a plane differ in the order
//! of their terms. `tools/check-kernels.sh` runs the tests of this file on an emulated aarch64.

#![allow(unsafe_code, reason = "vector instructions behind a run-time check")]

/// Taps of the Gaussian (σ = 1.5, torchmetrics' `2·trunc(3.5σ + 0.5) + 1`).
pub(super) const TAPS: usize = 11;
/// Pixels lost on each side by a valid convolution.
pub(super) const MARGIN: usize = TAPS / 2;
/// Rows of a ring of horizontally filtered rows: two outputs are formed at once, from twelve rows.
const RING: usize = TAPS + 1;
/// Row strides are multiples of this many floats.
const ALIGN: usize = 16;

/// Shape of a square plane before and after the convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grid {
    /// Rows and columns going in.
    pub input: usize,
    /// Floats per row going in.
    pub input_stride: usize,
    /// Rows and columns coming out: `input − 10`.
    pub output: usize,
    /// Floats per row coming out.
    pub output_stride: usize,
}

impl Grid {
    /// For an input of `input` ≥ 11 rows.
    pub fn new(input: usize) -> Self {
        let output = input.saturating_sub(2 * MARGIN);
        Self {
            input,
            input_stride: input.next_multiple_of(ALIGN),
            output,
            output_stride: output.next_multiple_of(ALIGN),
        }
    }

    /// Floats of one input plane.
    pub fn input_len(&self) -> usize {
        self.input * self.input_stride
    }

    /// Floats of one output plane.
    pub fn output_len(&self) -> usize {
        self.output * self.output_stride
    }
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    row: Vec<f32>,
    square: Vec<f32>,
    ring: Vec<f32>,
}

/// Floats from row to row of a ring: never a multiple of 4096 bytes, so that the rows of a column do not
/// compete for the same few places of the first-level cache.
const fn ring_stride(outer: usize) -> usize {
    outer + ALIGN
}

impl Scratch {
    fn fit(&mut self, grid: &Grid) {
        let row = grid.input_stride + 2 * ALIGN;
        let ring = 2 * RING * ring_stride(grid.output_stride);
        if self.row.len() < row {
            self.row.resize(row, 0.0);
            self.square.resize(row, 0.0);
        }
        if self.ring.len() < ring {
            self.ring.resize(ring, 0.0);
        }
    }
}

/// One plane of two pictures: centred values, local means of them, local variances.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    /// Centred values.
    pub values: [&'a [f32]; 2],
    /// Local means of the centred values.
    pub means: [&'a [f32]; 2],
    /// Local variances.
    pub variances: [&'a [f32]; 2],
    /// What was subtracted to centre.
    pub offsets: [f32; 2],
}

/// The two stabilizing constants `(0.01 L)²` and `(0.03 L)²`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constants {
    pub c1: f32,
    pub c2: f32,
}

/// Sum over the rows looked at so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sum {
    /// Over the whole plane.
    Exact(f64),
    /// Stopped early: the plane's sum cannot be more than this.
    AtMost(f64),
}

/// Instruction set, chosen at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// The widest one this processor has.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All this processor has, widest first.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
            {
                all.push(Self::Avx512);
            }
            if avx2 {
                all.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            all.push(Self::Neon);
        }
        all.push(Self::Portable);
        all
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON",
        }
    }
}

macro_rules! dispatch {
    ($isa:expr, $body:ident<[$($konst:expr),*]>($($name:ident: $type:ty),*) -> $ret:ty) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn wide($($name: $type),*) -> $ret { $body::<16, true, $($konst),*>($($name),*) }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn middle($($name: $type),*) -> $ret { $body::<8, true, $($konst),*>($($name),*) }
        // Eight lanes are two registers here: two independent chains.
        #[cfg(target_arch = "aarch64")]
        #[target_feature(enable = "neon")]
        fn neon($($name: $type),*) -> $ret { $body::<8, true, $($konst),*>($($name),*) }
        match $isa {
            // SAFETY: these variants come from `Isa::available` alone, which asked the processor.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { wide($($name),*) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { middle($($name),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon($($name),*) },
            // Without fused multiply-add, which would be a library call.
            Isa::Portable => $body::<8, false, $($konst),*>($($name),*),
        }
    }};
}

/// Local means and variances (not below 0) of one centred plane.
pub(super) fn statistics(
    isa: Isa,
    grid: &Grid,
    values: &[f32],
    means: &mut [f32],
    variances: &mut [f32],
    scratch: &mut Scratch,
) {
    dispatch!(isa, statistics_body<[]>(grid: &Grid, values: &[f32], means: &mut [f32],
        variances: &mut [f32], scratch: &mut Scratch) -> ());
}

/// Sum over a plane of contrast·structure. Stops as soon as the sum is certain to stay below `least`.
pub(super) fn contrast_sum(
    isa: Isa,
    grid: &Grid,
    pair: &Pair<'_>,
    constants: Constants,
    least: f64,
    scratch: &mut Scratch,
) -> Sum {
    let map = &mut [][..];
    dispatch!(isa, compare_body<[false, false]>(grid: &Grid, pair: &Pair<'_>, constants: Constants,
        least: f64, scratch: &mut Scratch, map: &mut [f32]) -> Sum)
}

/// As [`contrast_sum`], of luminance·contrast·structure.
pub(super) fn full_sum(
    isa: Isa,
    grid: &Grid,
    pair: &Pair<'_>,
    constants: Constants,
    least: f64,
    scratch: &mut Scratch,
) -> Sum {
    let map = &mut [][..];
    dispatch!(isa, compare_body<[true, false]>(grid: &Grid, pair: &Pair<'_>, constants: Constants,
        least: f64, scratch: &mut Scratch, map: &mut [f32]) -> Sum)
}

/// Adds luminance·contrast·structure of every output pixel to `map` (`grid.output_len()` floats).
pub(super) fn add_full_map(
    isa: Isa,
    grid: &Grid,
    pair: &Pair<'_>,
    constants: Constants,
    map: &mut [f32],
    scratch: &mut Scratch,
) {
    let least = f64::NEG_INFINITY;
    dispatch!(isa, compare_body<[true, true]>(grid: &Grid, pair: &Pair<'_>, constants: Constants,
        least: f64, scratch: &mut Scratch, map: &mut [f32]) -> Sum);
}

/// The symmetric half of the window, outermost first, normalised in f32 as torch does.
fn window() -> [f32; MARGIN + 1] {
    let all: [f32; TAPS] = std::array::from_fn(|i| {
        let d = (i as f32 - MARGIN as f32) / 1.5;
        (-(d * d) / 2.0).exp()
    });
    let sum: f32 = all.iter().sum();
    std::array::from_fn(|i| all[i] / sum)
}

type Lanes<const N: usize> = [f32; N];

/// # Safety
/// `N` floats are readable from `from` on.
#[inline(always)]
unsafe fn load<const N: usize>(from: *const f32) -> Lanes<N> {
    // SAFETY: by the caller; no alignment is asked for.
    unsafe { from.cast::<Lanes<N>>().read_unaligned() }
}

/// # Safety
/// `N` floats are writable from `to` on.
#[inline(always)]
unsafe fn store<const N: usize>(to: *mut f32, lanes: Lanes<N>) {
    // SAFETY: by the caller; no alignment is asked for.
    unsafe { to.cast::<Lanes<N>>().write_unaligned(lanes) }
}

#[inline(always)]
fn map1<const N: usize>(a: Lanes<N>, f: impl Fn(f32) -> f32) -> Lanes<N> {
    let mut out = a;
    for o in &mut out {
        *o = f(*o);
    }
    out
}

#[inline(always)]
fn map2<const N: usize>(a: Lanes<N>, b: Lanes<N>, f: impl Fn(f32, f32) -> f32) -> Lanes<N> {
    let mut out = a;
    for (o, b) in out.iter_mut().zip(b) {
        *o = f(*o, b);
    }
    out
}

#[inline(always)]
fn fused<const N: usize, const FMA: bool>(a: Lanes<N>, weight: f32, c: Lanes<N>) -> Lanes<N> {
    map2(
        a,
        c,
        |a, c| {
            if FMA { a.mul_add(weight, c) } else { a * weight + c }
        },
    )
}

/// Weighted sum of eleven groups of lanes, the k-th read at `at(k)`; two chains hide the latency.
///
/// # Safety
/// `N` floats are readable from every `at(k)` on.
#[inline(always)]
unsafe fn blur<const N: usize, const FMA: bool>(
    w: &[f32; MARGIN + 1],
    at: impl Fn(usize) -> *const f32,
) -> Lanes<N> {
    // SAFETY: by the caller.
    let both = |k: usize| unsafe { map2(load::<N>(at(k)), load::<N>(at(TAPS - 1 - k)), |a, b| a + b) };
    // SAFETY: by the caller.
    let centre = unsafe { load::<N>(at(MARGIN)) };
    let mut even = map1(both(0), |v| v * w[0]);
    let mut odd = map1(centre, |v| v * w[MARGIN]);
    odd = fused::<N, FMA>(both(1), w[1], odd);
    even = fused::<N, FMA>(both(2), w[2], even);
    odd = fused::<N, FMA>(both(3), w[3], odd);
    even = fused::<N, FMA>(both(4), w[4], even);
    map2(even, odd, |a, b| a + b)
}

/// As [`blur`] down a column, for two outputs one row apart: each of the twelve rows is read once.
///
/// # Safety
/// `N` floats are readable from every `at(k)` on, `k < RING`.
#[inline(always)]
unsafe fn blur_two<const N: usize, const FMA: bool>(
    w: &[f32; MARGIN + 1],
    at: impl Fn(usize) -> *const f32,
) -> [Lanes<N>; 2] {
    // SAFETY: by the caller.
    let row = |k: usize| unsafe { load::<N>(at(k)) };
    let sum = |a: Lanes<N>, b: Lanes<N>| map2(a, b, |a, b| a + b);
    // From the centre outwards, so that few rows are alive at a time.
    let (r5, r6) = (row(5), row(6));
    let mut first = map1(r5, |v| v * w[5]);
    let mut second = map1(r6, |v| v * w[5]);
    let (r4, r7) = (row(4), row(7));
    first = fused::<N, FMA>(sum(r4, r6), w[4], first);
    second = fused::<N, FMA>(sum(r5, r7), w[4], second);
    let (r3, r8) = (row(3), row(8));
    first = fused::<N, FMA>(sum(r3, r7), w[3], first);
    second = fused::<N, FMA>(sum(r4, r8), w[3], second);
    let (r2, r9) = (row(2), row(9));
    first = fused::<N, FMA>(sum(r2, r8), w[2], first);
    second = fused::<N, FMA>(sum(r3, r9), w[2], second);
    let (r1, r10) = (row(1), row(10));
    first = fused::<N, FMA>(sum(r1, r9), w[1], first);
    second = fused::<N, FMA>(sum(r2, r10), w[1], second);
    let (r0, r11) = (row(0), row(11));
    first = fused::<N, FMA>(sum(r0, r10), w[0], first);
    second = fused::<N, FMA>(sum(r1, r11), w[0], second);
    [first, second]
}

/// Filters one row into `into`: `outer` floats, from `outer + 10 + N` of `from`.
///
/// # Safety
/// As said, and `outer` is a multiple of `N`.
#[inline(always)]
unsafe fn blur_row<const N: usize, const FMA: bool>(
    w: &[f32; MARGIN + 1],
    from: *const f32,
    into: *mut f32,
    outer: usize,
) {
    for j in (0..outer).step_by(N) {
        // SAFETY: by the caller.
        unsafe { store(into.add(j), blur::<N, FMA>(w, |k| from.add(j + k))) };
    }
}

/// Squares of a row, then both filtered into rings.
///
/// # Safety
/// `x` holds `inner` floats, `row` and `square` `inner + 32`, the two rings `outer`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn take_powers<const N: usize, const FMA: bool>(
    w: &[f32; MARGIN + 1],
    x: *const f32,
    row: *mut f32,
    square: *mut f32,
    rings: [*mut f32; 2],
    inner: usize,
    outer: usize,
) {
    // SAFETY: by the caller.
    unsafe {
        for j in (0..inner).step_by(N) {
            let v = load::<N>(x.add(j));
            store(row.add(j), v);
            store(square.add(j), map1(v, |v| v * v));
        }
        blur_row::<N, FMA>(w, row, rings[0], outer);
        blur_row::<N, FMA>(w, square, rings[1], outer);
    }
}

#[inline(always)]
fn statistics_body<const N: usize, const FMA: bool>(
    grid: &Grid,
    values: &[f32],
    means: &mut [f32],
    variances: &mut [f32],
    scratch: &mut Scratch,
) {
    let w = window();
    let (inner, outer) = (grid.input_stride, grid.output_stride);
    scratch.fit(grid);
    assert!(values.len() >= grid.input_len());
    assert!(means.len() >= grid.output_len() && variances.len() >= grid.output_len());
    assert!(scratch.row.len() >= inner + 2 * ALIGN && scratch.square.len() >= inner + 2 * ALIGN);
    let step = ring_stride(outer);
    assert!(scratch.ring.len() >= 2 * RING * step && outer <= inner);
    assert!(inner % N == 0 && outer % N == 0 && grid.output + 2 * MARGIN == grid.input);
    let row = scratch.row.as_mut_ptr();
    let square = scratch.square.as_mut_ptr();
    let ring = scratch.ring.as_mut_ptr();
    // SAFETY: `values` holds `input` rows of `inner` floats; `row` and `square` hold `inner + 32`, and
    // the blur reads at most up to `outer + 10 + N ≤ inner + 26`; the ring holds 2·12 rows of `outer`;
    // `means` and `variances` hold `output` rows of `outer`. Asserted above.
    unsafe {
        let mut next = 0;
        for out in (0..grid.output).step_by(2) {
            let two = out + 1 < grid.output;
            while next < (out + RING).min(grid.input) {
                let at = (next % RING) * step;
                let rings = [ring.add(at), ring.add(RING * step + at)];
                let x = values.as_ptr().add(next * inner);
                take_powers::<N, FMA>(&w, x, row, square, rings, inner, outer);
                next += 1;
            }
            let rows: [usize; RING] = std::array::from_fn(|k| ((out + k) % RING) * step);
            for j in (0..outer).step_by(N) {
                let means_two = blur_two::<N, FMA>(&w, |k| ring.add(rows[k] + j));
                let powers = blur_two::<N, FMA>(&w, |k| ring.add(RING * step + rows[k] + j));
                for i in 0..1 + usize::from(two) {
                    let at = (out + i) * outer + j;
                    store(means.as_mut_ptr().add(at), means_two[i]);
                    let variance = map2(powers[i], means_two[i], |p, m| {
                        let v = p - m * m;
                        if v > 0.0 { v } else { 0.0 }
                    });
                    store(variances.as_mut_ptr().add(at), variance);
                }
            }
        }
    }
}

/// Asks for the cache line of `from[at]`, if there is one.
#[inline(always)]
fn prefetch(from: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing; an address outside is allowed and without effect.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, at);
}

/// The product of two rows, filtered into `into`.
///
/// # Safety
/// `x` and `y` hold `inner` floats, `row` `inner + 32`, `into` `outer`.
#[inline(always)]
unsafe fn take_product<const N: usize, const FMA: bool>(
    w: &[f32; MARGIN + 1],
    [x, y]: [*const f32; 2],
    row: *mut f32,
    into: *mut f32,
    inner: usize,
    outer: usize,
) {
    // SAFETY: by the caller.
    unsafe {
        for j in (0..inner).step_by(N) {
            let product = map2(load::<N>(x.add(j)), load::<N>(y.add(j)), |x, y| x * y);
            store(row.add(j), product);
        }
        blur_row::<N, FMA>(w, row, into, outer);
    }
}

#[inline(always)]
fn compare_body<const N: usize, const FMA: bool, const FULL: bool, const MAP: bool>(
    grid: &Grid,
    pair: &Pair<'_>,
    constants: Constants,
    least: f64,
    scratch: &mut Scratch,
    map: &mut [f32],
) -> Sum {
    let w = window();
    let (inner, outer) = (grid.input_stride, grid.output_stride);
    scratch.fit(grid);
    assert!(pair.values.iter().all(|v| v.len() >= grid.input_len()));
    assert!(pair.means.iter().all(|v| v.len() >= grid.output_len()));
    assert!(pair.variances.iter().all(|v| v.len() >= grid.output_len()));
    assert!(!MAP || map.len() >= grid.output_len());
    assert!(scratch.row.len() >= inner + 2 * ALIGN);
    let step = ring_stride(outer);
    assert!(scratch.ring.len() >= RING * step && outer <= inner);
    assert!(inner % N == 0 && outer % N == 0 && grid.output + 2 * MARGIN == grid.input);
    let Constants { c1, c2 } = constants;
    let [offset_x, offset_y] = pair.offsets;
    let row = scratch.row.as_mut_ptr();
    let ring = scratch.ring.as_mut_ptr();
    let mut total = 0f64;
    // SAFETY: as in `statistics_body`: all lengths are asserted above.
    unsafe {
        let mut next = 0;
        for out in (0..grid.output).step_by(2) {
            let two = out + 1 < grid.output;
            while next < (out + RING).min(grid.input) {
                let xy = pair.values.map(|v| v.as_ptr().add(next * inner));
                let into = ring.add((next % RING) * step);
                take_product::<N, FMA>(&w, xy, row, into, inner, outer);
                next += 1;
            }
            let rows: [usize; RING] = std::array::from_fn(|k| ((out + k) % RING) * step);
            let mut sums = [[0f32; N]; 2];
            for j in (0..outer).step_by(N) {
                if j % ALIGN == 0 {
                    // Eight streams are more than processors foresee: ask for the next two rows.
                    for from in pair.means.into_iter().chain(pair.variances) {
                        prefetch(from, (out + 2) * outer + j);
                        prefetch(from, (out + 3) * outer + j);
                    }
                    for from in pair.values {
                        prefetch(from, next * inner + j);
                        prefetch(from, (next + 1) * inner + j);
                    }
                }
                // Without a second row its values are formed from the first one's and not used.
                let products = blur_two::<N, FMA>(&w, |k| ring.add(rows[k] + j));
                for half in 0..2 {
                    let at = (out + half * usize::from(two)) * outer + j;
                    let product = products[half];
                    let (mx, my) = (
                        load::<N>(pair.means[0].as_ptr().add(at)),
                        load::<N>(pair.means[1].as_ptr().add(at)),
                    );
                    let (vx, vy) = (
                        load::<N>(pair.variances[0].as_ptr().add(at)),
                        load::<N>(pair.variances[1].as_ptr().add(at)),
                    );
                    let mut value = [0f32; N];
                    for i in 0..N {
                        let covariance = product[i] - mx[i] * my[i];
                        let mut top = covariance + covariance + c2;
                        let mut bottom = vx[i] + vy[i] + c2;
                        if FULL {
                            let (x, y) = (mx[i] + offset_x, my[i] + offset_y);
                            top *= 2.0 * x * y + c1;
                            bottom *= x * x + y * y + c1;
                        }
                        let v = top / bottom;
                        // By Cauchy–Schwarz at most 1; rounding may exceed it, and the bounds of the
                        // search rely on it.
                        value[i] = if v > 1.0 { 1.0 } else { v };
                    }
                    if MAP && (half == 0 || two) {
                        let to = map.as_mut_ptr().add(at);
                        store(to, map2(load::<N>(to), value, |a, b| a + b));
                    }
                    if j + N > grid.output {
                        for (i, v) in value.iter_mut().enumerate() {
                            *v = if j + i < grid.output { *v } else { 0.0 };
                        }
                    }
                    sums[half] = map2(sums[half], value, |a, b| a + b);
                }
            }
            total += f64::from(sums[0].iter().sum::<f32>());
            if two {
                total += f64::from(sums[1].iter().sum::<f32>());
            }
            let rest = (grid.output - out - 1 - usize::from(two)) * grid.output;
            // The slack covers the f32 rounding of a row's sum.
            let most = total + rest as f64 * 1.000_02;
            if !MAP && most < least {
                return Sum::AtMost(most);
            }
        }
    }
    Sum::Exact(total)
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
