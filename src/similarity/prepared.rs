//! One picture made ready for comparing, and the comparison of two.

use super::{
    SimilarityError,
    composition::{self, BACKGROUND, Cut, Extent, FOREGROUND, region},
    kernel::Scratch,
    level::{Levels, levels},
    pyramid::SCALES,
    ssim::{Metric, score},
};
use crate::study::{Arithmetic, RegionScores};
use image::{GrayImage, RgbImage};
use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs `work` with this thread's kernel buffers.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with(|s| work(&mut s.borrow_mut()))
}

/// Foreground and background at all scales; a region the picture does not have is `None`.
pub(super) type Regions = [Option<Levels>; 2];

/// A picture's regions at 512², five scales with statistics: about 28 MB, twice that under the RGBA
/// arithmetics. Made once per generated picture.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) arithmetic: Arithmetic,
    pub(super) extent: Extent,
    coverage: f32,
    training: Regions,
    /// Where the generated side differs.
    generated: Option<Regions>,
}

impl Prepared {
    /// Splits `image` by `matte` (same size, 255 = foreground) and computes everything a comparison
    /// needs. Picture and matte are stretched to 512².
    ///
    /// Under `corrected`, a picture whose matte covers more than 97 % has no background and one with
    /// less than 3 % no foreground (METHODS §3.5).
    ///
    /// # Errors
    /// When the matte has another size, the picture is empty, or the JPEG round trip fails.
    pub fn new(image: &RgbImage, matte: &GrayImage, arithmetic: Arithmetic) -> Result<Self, SimilarityError> {
        let cut = composition::cut(image, matte, arithmetic)?;
        let generated = if arithmetic == Arithmetic::Corrected {
            None
        } else {
            let planes = composition::generated_regions(image, matte)?;
            Self::of_generated(arithmetic, 0.0, planes).generated
        };
        Ok(Self {
            generated,
            ..Self::from_cut(&cut.planes, &cut, composition::coverage(matte))
        })
    }

    /// As [`new`](Self::new), for a generated picture that is searched for and never a training picture:
    /// takes half the time and memory under the RGBA arithmetics.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn query(
        image: &RgbImage,
        matte: &GrayImage,
        arithmetic: Arithmetic,
    ) -> Result<Self, SimilarityError> {
        if arithmetic == Arithmetic::Corrected {
            return Self::new(image, matte, arithmetic);
        }
        let planes = composition::generated_regions(image, matte)?;
        Ok(Self::of_generated(
            arithmetic,
            composition::coverage(matte),
            planes,
        ))
    }

    /// A generated picture whose segments exist as pictures (the reference's `{gen}_foreground/` and
    /// `{gen}_background/`), read from their JPEG files. For an RGBA arithmetic. The coverage is not
    /// known and given as 0.
    ///
    /// # Errors
    /// When a segment has no pixels.
    pub fn query_segments(
        foreground: RgbImage,
        background: RgbImage,
        arithmetic: Arithmetic,
    ) -> Result<Self, SimilarityError> {
        for segment in [&foreground, &background] {
            if segment.as_raw().is_empty() {
                return Err(SimilarityError::Empty(segment.width(), segment.height()));
            }
        }
        let planes = composition::segment_regions([foreground, background]);
        Ok(Self::of_generated(arithmetic, 0.0, planes))
    }

    fn of_generated(arithmetic: Arithmetic, coverage: f32, planes: [Vec<u8>; 2]) -> Self {
        let pad = !Metric::of(arithmetic).crop_last;
        let [f, b] = planes;
        let of = |p: Vec<u8>| Some(with_scratch(|s| levels(&p, pad, s)));
        let (foreground, background) = rayon::join(|| of(f), || of(b));
        Self {
            arithmetic,
            extent: Extent::Both,
            coverage,
            training: [None, None],
            generated: Some([foreground, background]),
        }
    }

    /// From stored planes; the generated side is taken to be the training side.
    pub(super) fn from_stored(arithmetic: Arithmetic, extent: Extent, coverage: f32, planes: &[u8]) -> Self {
        let cut = Cut {
            arithmetic,
            extent,
            planes: Vec::new(),
        };
        Self::from_cut(planes, &cut, coverage)
    }

    fn from_cut(planes: &[u8], cut: &Cut, coverage: f32) -> Self {
        let pad = !Metric::of(cut.arithmetic).crop_last;
        let has = cut.extent.regions();
        let of = |r: usize| {
            has[r].then(|| {
                let mut bytes = Vec::new();
                region(cut.arithmetic, planes, r, &mut bytes);
                with_scratch(|s| levels(&bytes, pad, s))
            })
        };
        let (foreground, background) = rayon::join(|| of(FOREGROUND), || of(BACKGROUND));
        let training = [foreground, background];
        Self {
            arithmetic: cut.arithmetic,
            extent: cut.extent,
            coverage,
            training,
            generated: None,
        }
    }

    /// Mean of the matte, in `[0, 1]`.
    pub fn coverage(&self) -> f32 {
        self.coverage
    }

    /// The arithmetic it was prepared for.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// As seen when this is the generated picture of a pair.
    pub(super) fn generated(&self) -> &Regions {
        self.generated.as_ref().unwrap_or(&self.training)
    }
}

/// What can be compared in a pair of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparable {
    Both,
    /// One picture lacks the other region.
    Only(usize),
    /// Both pictures consist of this region alone: the whole pictures are compared, and the result
    /// counts for both regions (METHODS §3.5).
    Whole(usize),
    Nothing,
}

impl Comparable {
    pub fn of(a: Extent, b: Extent) -> Self {
        use Extent::{BackgroundOnly, Both, ForegroundOnly};
        match (a, b) {
            (Both, Both) => Self::Both,
            (ForegroundOnly, ForegroundOnly) => Self::Whole(FOREGROUND),
            (BackgroundOnly, BackgroundOnly) => Self::Whole(BACKGROUND),
            (Both, ForegroundOnly) | (ForegroundOnly, Both) => Self::Only(FOREGROUND),
            (Both, BackgroundOnly) | (BackgroundOnly, Both) => Self::Only(BACKGROUND),
            (ForegroundOnly, BackgroundOnly) | (BackgroundOnly, ForegroundOnly) => Self::Nothing,
        }
    }

    /// Whether a region is compared.
    pub fn has(self, region: usize) -> bool {
        match self {
            Self::Both => true,
            Self::Only(r) | Self::Whole(r) => r == region,
            Self::Nothing => false,
        }
    }

    /// Average over the compared regions of per-region values (scores or bounds).
    pub fn average(self, values: [f64; 2]) -> Option<f64> {
        match self {
            Self::Both => Some(0.5 * (values[0] + values[1])),
            Self::Only(r) | Self::Whole(r) => Some(values[r]),
            Self::Nothing => None,
        }
    }

    /// Scores from the compared regions' values.
    pub fn scores(self, values: [f64; 2]) -> RegionScores {
        let [f, b] = values.map(|v| v as f32);
        match self {
            Self::Both => RegionScores::new(f, b),
            Self::Whole(FOREGROUND) => RegionScores::new(f, f),
            Self::Whole(_) => RegionScores::new(b, b),
            Self::Only(FOREGROUND) => RegionScores {
                foreground: Some(f),
                background: None,
            },
            Self::Only(_) => RegionScores {
                foreground: None,
                background: Some(b),
            },
            Self::Nothing => RegionScores::default(),
        }
    }
}

/// The five terms of MS-SSIM per region, finest scale first, each in `[0, 1]`: four means of
/// contrast·structure and one of luminance·contrast·structure. `None` where a region is not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairTerms {
    /// Of the foregrounds.
    pub foreground: Option<[f32; SCALES]>,
    /// Of the backgrounds.
    pub background: Option<[f32; SCALES]>,
}

fn terms(a: &Prepared, b: &Prepared) -> (Comparable, [Option<[f64; SCALES]>; 2]) {
    let comparable = Comparable::of(a.extent, b.extent);
    let metric = Metric::of(a.arithmetic);
    let of = |region: usize| -> Option<[f64; SCALES]> {
        let (x, y) = (a.training[region].as_ref()?, b.generated()[region].as_ref()?);
        if !comparable.has(region) {
            return None;
        }
        // The finest scale is three quarters of the work: its planes are spread over the cores.
        let (finest, mut rest) = rayon::join(
            || metric.term_spread(&x[0], &y[0]),
            || {
                with_scratch(|s| {
                    std::array::from_fn(|i| {
                        let full = i == SCALES - 1;
                        if i == 0 {
                            0.0
                        } else {
                            metric.term(&x[i], &y[i], full, 0.0, s)
                        }
                    })
                })
            },
        );
        rest[0] = finest;
        Some(rest)
    };
    let (foreground, background) = rayon::join(|| of(FOREGROUND), || of(BACKGROUND));
    (comparable, [foreground, background])
}

/// Scores of one pair, computed in full on the caller's rayon pool: `a` is the training picture, `b` the
/// generated one.
///
/// Both must be prepared with the same arithmetic; `a`'s is used.
pub fn compare(a: &Prepared, b: &Prepared) -> RegionScores {
    let (comparable, terms) = terms(a, b);
    comparable.scores(terms.map(|t| t.map_or(0.0, |t| score(&t))))
}

/// The terms of one pair, scale by scale.
pub fn compare_terms(a: &Prepared, b: &Prepared) -> PairTerms {
    let (_, [foreground, background]) = terms(a, b);
    PairTerms {
        foreground: foreground.map(|t| t.map(|t| t as f32)),
        background: background.map(|t| t.map(|t| t as f32)),
    }
}
