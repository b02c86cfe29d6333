//! The five scales of a picture without loss: a pixel of scale `s` is the integer sum of its `4^s`
//! bytes, at most 255·4⁴ = 65 280, so `u16` holds it exactly and `sum / (255·4^s)` is what repeated
//! 2×2 averaging gives.

/// Number of scales.
pub(super) const SCALES: usize = 5;
/// Width and height of a prepared picture, in pixels.
pub(super) const SIDE: usize = 512;
/// Pixels of one prepared plane.
pub(super) const AREA: usize = SIDE * SIDE;

/// Width and height at `scale`.
pub(super) const fn side_at(scale: usize) -> usize {
    SIDE >> scale
}

/// What one unit of a stored sum at `scale` is worth.
pub(super) fn unit_at(scale: usize) -> f32 {
    1.0 / (255.0 * (1u32 << (2 * scale)) as f32)
}

/// Sums of 2×2 blocks of planes that are `side` wide and lie one below the other.
pub(super) fn halve<T: Copy + Into<u16>>(planes: &[T], side: usize, out: &mut Vec<u16>) {
    out.clear();
    for rows in planes.chunks_exact(2 * side) {
        let (upper, lower) = rows.split_at(side);
        let (upper, lower) = (upper.as_chunks::<2>().0, lower.as_chunks::<2>().0);
        out.extend(upper.iter().zip(lower).map(|(u, l)| {
            let [a, b, c, d]: [u16; 4] = [u[0].into(), u[1].into(), l[0].into(), l[1].into()];
            a + b + c + d
        }));
    }
}

/// Scales 1 to 4 of 512² planes of bytes.
pub(super) fn pyramid(planes: &[u8]) -> [Vec<u16>; SCALES - 1] {
    let mut levels: [Vec<u16>; SCALES - 1] = Default::default();
    halve(planes, SIDE, &mut levels[0]);
    for scale in 1..SCALES - 1 {
        let (done, next) = levels.split_at_mut(scale);
        halve(&done[scale - 1], side_at(scale), &mut next[0]);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_fits_and_sums_are_exact() {
        let white = vec![255u8; AREA];
        let levels = pyramid(&white);
        assert!(levels[3].iter().all(|&v| v == 65_280));
        assert_eq!(levels[3].len(), 32 * 32);
        let ramp: Vec<u8> = (0..2 * AREA).map(|i| (i * 7 % 251) as u8).collect();
        let total: u64 = ramp.iter().map(|&v| u64::from(v)).sum();
        for level in pyramid(&ramp) {
            assert_eq!(level.iter().map(|&v| u64::from(v)).sum::<u64>(), total);
        }
    }
}
