//! The colour ramps, computed from a few published colours each.

/// A colour ramp. The discriminant is its row in the ramp texture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u32)]
pub enum Ramp {
    /// Black, magenta, cream (van der Walt and Smith's magma; CC0).
    #[default]
    Magma = 0,
    /// Violet, teal, yellow (van der Walt and Smith's viridis; CC0).
    Viridis = 1,
    /// Blue, grey, yellow, the same for all kinds of colour vision (Nuñez, Anderton, Renslow 2018; CC0).
    Cividis = 2,
    /// Blue, nearly black in the middle, amber: for signed numbers.
    Diverging = 3,
}

impl Ramp {
    /// All ramps, by row.
    pub const ALL: [Self; 4] = [Self::Magma, Self::Viridis, Self::Cividis, Self::Diverging];
    /// The ramps for a strength; [`Ramp::Diverging`] is for signed numbers.
    pub const STRENGTH: [Self; 3] = [Self::Magma, Self::Viridis, Self::Cividis];
    /// Entries of a row.
    pub const ENTRIES: usize = 256;

    /// Name for a menu.
    pub fn name(self) -> &'static str {
        match self {
            Self::Magma => "Magma",
            Self::Viridis => "Viridis",
            Self::Cividis => "Cividis",
            Self::Diverging => "Diverging",
        }
    }

    /// Colours at equal distances along the ramp, 0xRRGGBB.
    fn knots(self) -> &'static [u32] {
        match self {
            Self::Magma => &[
                0x000004, 0x180F3E, 0x451077, 0x721F81, 0x9F2F7F, 0xCD4071, 0xF1605D, 0xFD9567, 0xFEC98D,
                0xFCFDBF,
            ],
            Self::Viridis => &[
                0x440154, 0x482878, 0x3E4A89, 0x31688E, 0x26828E, 0x1F9E89, 0x35B779, 0x6DCD59, 0xB4DE2C,
                0xFDE725,
            ],
            Self::Cividis => &[
                0x00204D, 0x00336F, 0x39486B, 0x575C6D, 0x707173, 0x8A8779, 0xA69D75, 0xC4B56C, 0xE4CF5B,
                0xFFEA46,
            ],
            Self::Diverging => &[
                0x9AD6FF, 0x4C9FE0, 0x26628F, 0x173247, 0x131518, 0x46291A, 0x8E4C1F, 0xDC8433, 0xFFCB87,
            ],
        }
    }

    /// The ramp's colours, first to last.
    pub fn colors(self) -> [[u8; 3]; Self::ENTRIES] {
        let knots: Vec<[f32; 3]> = self
            .knots()
            .iter()
            .map(|rgb| [16, 8, 0].map(|shift| (rgb >> shift & 0xFF) as f32))
            .collect();
        std::array::from_fn(|entry| {
            let x = entry as f32 / (Self::ENTRIES - 1) as f32 * (knots.len() - 1) as f32;
            catmull_rom(&knots, x).map(|c| c.round().clamp(0.0, 255.0) as u8)
        })
    }
}

/// The smooth curve through `knots` at position `x`, in knots.
fn catmull_rom(knots: &[[f32; 3]], x: f32) -> [f32; 3] {
    let last = knots.len() - 1;
    let left = (x.floor() as usize).min(last.saturating_sub(1));
    let t = x - left as f32;
    let knot = |offset: isize| knots[left.saturating_add_signed(offset).min(last)];
    let (a, b, c, d) = (knot(-1), knot(0), knot(1), knot(2));
    std::array::from_fn(|i| {
        let (a, b, c, d) = (a[i], b[i], c[i], d[i]);
        b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
    })
}

/// All ramps as one picture: RGBA8, [`Ramp::ENTRIES`] wide, one row per ramp.
pub fn ramp_table() -> Vec<u8> {
    Ramp::ALL
        .into_iter()
        .flat_map(Ramp::colors)
        .flat_map(|[r, g, b]| [r, g, b, 255])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramps_pass_through_their_published_colours() {
        for (ramp, first, last) in [
            (Ramp::Magma, [0, 0, 4], [252, 253, 191]),
            (Ramp::Viridis, [68, 1, 84], [253, 231, 37]),
            (Ramp::Cividis, [0, 32, 77], [255, 234, 70]),
        ] {
            let colors = ramp.colors();
            assert_eq!(colors[0], first, "{ramp:?}");
            assert_eq!(colors[255], last, "{ramp:?}");
        }
        // Matplotlib's viridis at one third: entry 85 of 256 is 0x31688E to within rounding.
        let third = Ramp::Viridis.colors()[85];
        for (ours, published) in third.into_iter().zip([0x31, 0x68, 0x8E]) {
            assert!(ours.abs_diff(published) <= 2, "{third:?}");
        }
    }

    #[test]
    fn strength_ramps_grow_lighter_all_the_way() {
        for ramp in Ramp::STRENGTH {
            let light = ramp
                .colors()
                .map(|[r, g, b]| 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b));
            for pair in light.windows(2) {
                assert!(pair[1] >= pair[0] - 0.7, "{ramp:?} darkens: {pair:?}");
            }
        }
    }
}
