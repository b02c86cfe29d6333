//! The Field's pictures, laid onto its plot: which cell each falls into, how many of each class a cell holds, which
//! one is near a place. Made anew when the plot or the pictures change; for a moved threshold only the cells are
//! coloured again.

use super::field_axes::Axes;
use crate::{
    app::{
        columns::NOT_COMPARED,
        derived::{ABSENT, Derived, OPEN},
        state::State,
        theme::Theme,
    },
    study::{Thresholds, Verdict},
};
use egui::{Color32, ColorImage, Context, Pos2, Rect, TextureHandle, TextureOptions, Vec2, pos2};

/// Pictures above which their density is drawn in place of a mark for each.
pub const DENSE: usize = 2000;
/// Arrows drawn at most; of more, every so manieth.
pub const ARROWS: usize = 400;
/// Bins of a histogram.
pub const BINS: usize = 48;
/// Side of a density cell, in points.
const CELL: f32 = 3.0;

/// What the pictures were laid out for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ground {
    points: u64,
    plot: Rect,
    low: f32,
}

/// What the cells were coloured for.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    ground: Ground,
    classes: u64,
    wanted: Vec<Verdict>,
    cell: Option<(Verdict, Verdict)>,
    lasso: usize,
    dark: bool,
}

/// The pictures on the plot. Kept between frames.
#[derive(Default)]
pub struct FieldPoints {
    lowest: (u64, f32),
    ground: Option<Ground>,
    look: Option<Look>,
    columns: usize,
    rows: usize,
    /// Cell of each point; of one that is not compared, one past the last.
    cell_of: Vec<u32>,
    /// Points by cell: those of cell `i` are `order[starts[i]..starts[i + 1]]`.
    order: Vec<u32>,
    starts: Vec<u32>,
    /// Pictures per bin of the background's score, and of the foreground's.
    pub across: Vec<u32>,
    /// See [`FieldPoints::across`].
    pub up: Vec<u32>,
    /// Points whose arrow is drawn.
    pub arrows: Vec<u32>,
    /// Points that have an arrow, drawn or not.
    pub with_arrow: usize,
    texture: Option<TextureHandle>,
    /// How often the pictures were laid out, and the cells coloured.
    pub laid_out: u64,
    /// See [`FieldPoints::laid_out`].
    pub coloured: u64,
}

impl FieldPoints {
    /// The lowest score of all pictures and both thresholds, at most 0.6: where the axes begin.
    pub fn lowest(&mut self, derived: &Derived, thresholds: &Thresholds) -> f32 {
        if self.lowest.0 != derived.points_stamp {
            let points = &derived.points;
            // NaN is never the smaller one; a picture that B lacks is no score.
            let rows = points.scores.iter().chain(&points.moved).flatten();
            let lowest = rows.filter(|s| s.is_finite()).fold(0.6_f32, |a, &s| a.min(s));
            self.lowest = (derived.points_stamp, lowest);
        }
        self.lowest
            .1
            .min(thresholds.foreground)
            .min(thresholds.background)
    }

    /// Lays the pictures out on `axes` and chooses the arrows, as far as something changed.
    pub fn refresh(&mut self, state: &State, axes: &Axes, dark: bool) -> bool {
        let derived = &state.derived;
        let ground = Ground {
            points: derived.points_stamp,
            plot: axes.plot,
            low: axes.low,
        };
        if self.ground != Some(ground) {
            self.lay_out(derived, axes);
            self.ground = Some(ground);
            self.laid_out += 1;
        }
        let look = Look {
            ground,
            classes: derived.classes_stamp,
            wanted: state.wanted(),
            cell: state.compare.cell,
            lasso: state
                .lasso
                .as_ref()
                .map_or(0, |l| std::sync::Arc::as_ptr(l) as usize),
            dark,
        };
        if self.look.as_ref() == Some(&look) {
            return false;
        }
        self.choose_arrows(state);
        self.look = Some(look);
        true
    }

    fn lay_out(&mut self, derived: &Derived, axes: &Axes) {
        let points = &derived.points;
        let size = axes.plot.size() / CELL;
        (self.columns, self.rows) = (size.x.ceil().max(1.0) as usize, size.y.ceil().max(1.0) as usize);
        let cells = self.columns * self.rows;
        (self.across, self.up) = (vec![0; BINS], vec![0; BINS]);
        let bin = |v: f32| (((v - axes.low) / (1.0 - axes.low) * BINS as f32) as usize).min(BINS - 1);
        self.cell_of.clear();
        self.starts.clear();
        self.starts.resize(cells + 2, 0);
        for (&[foreground, background], &best) in points.scores.iter().zip(&points.best) {
            let cell = if best == NOT_COMPARED {
                cells
            } else {
                if !background.is_nan() {
                    self.across[bin(background)] += 1;
                }
                if !foreground.is_nan() {
                    self.up[bin(foreground)] += 1;
                }
                let at = axes.place_of([foreground, background]);
                self.cell_at(axes.plot, at)
            };
            self.cell_of.push(cell as u32);
            self.starts[cell + 1] += 1;
        }
        for cell in 0..=cells {
            self.starts[cell + 1] += self.starts[cell];
        }
        let mut next = self.starts.clone();
        self.order.clear();
        self.order.resize(points.keys.len(), 0);
        for (point, &cell) in self.cell_of.iter().enumerate() {
            let slot = &mut next[cell as usize];
            self.order[*slot as usize] = point as u32;
            *slot += 1;
        }
    }

    fn cell_at(&self, plot: Rect, at: Pos2) -> usize {
        let from = (at - plot.min) / CELL;
        let x = (from.x.max(0.0) as usize).min(self.columns - 1);
        let y = (from.y.max(0.0) as usize).min(self.rows - 1);
        y * self.columns + x
    }

    fn choose_arrows(&mut self, state: &State) {
        let derived = &state.derived;
        let filtered = Derived::filters(state);
        let moved = derived.points.moved.iter().enumerate();
        let all: Vec<u32> = moved
            .filter(|(_, m)| **m != ABSENT)
            .filter(|(point, _)| derived.classes[*point] != OPEN)
            .filter(|(point, _)| !filtered || derived.lets_through(state, *point))
            .map(|(point, _)| point as u32)
            .collect();
        self.with_arrow = all.len();
        let every = all.len().div_ceil(ARROWS).max(1);
        self.arrows = all.into_iter().step_by(every).collect();
    }

    /// Colours every cell by the classes of its pictures; the more there are, the stronger.
    pub fn color(&mut self, ctx: &Context, state: &State, theme: &Theme) {
        let derived = &state.derived;
        let filtered = Derived::filters(state);
        let cells = self.columns * self.rows;
        let mut counts = vec![[0.0_f32; 4]; cells + 1];
        for (point, (&cell, &class)) in self.cell_of.iter().zip(&derived.classes).enumerate() {
            if class != OPEN {
                let through = !filtered || derived.lets_through(state, point);
                counts[cell as usize][class as usize] += if through { 1.0 } else { 0.02 };
            }
        }
        let sum = |cell: &[f32; 4]| cell.iter().sum::<f32>();
        let most = counts[..cells].iter().map(sum).fold(1.0_f32, f32::max);
        let inks = Verdict::ALL.map(|v| theme.verdict(Some(v)).to_array());
        let pixel = |cell: &[f32; 4]| {
            let all = sum(cell);
            if all <= 0.0 {
                return Color32::TRANSPARENT;
            }
            let strength = (0.3 + 0.7 * all.ln_1p() / most.ln_1p()) * all.clamp(0.12, 1.0);
            let channel = |k: usize| (0..4).map(|c| f32::from(inks[c][k]) * cell[c] / all).sum::<f32>() as u8;
            Color32::from_rgb(channel(0), channel(1), channel(2)).gamma_multiply(strength)
        };
        let image = ColorImage::new(
            [self.columns, self.rows],
            counts[..cells].iter().map(pixel).collect(),
        );
        match &mut self.texture {
            Some(texture) => texture.set(image, TextureOptions::NEAREST),
            None => self.texture = Some(ctx.load_texture("field", image, TextureOptions::NEAREST)),
        }
        self.coloured += 1;
    }

    /// Paints the density.
    pub fn paint(&self, painter: &egui::Painter, plot: Rect) {
        let Some(texture) = &self.texture else { return };
        let size = Vec2::new(self.columns as f32, self.rows as f32) * CELL;
        let uv = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
        painter.image(
            texture.id(),
            Rect::from_min_size(plot.min, size),
            uv,
            Color32::WHITE,
        );
    }

    /// The picture nearest to a place within `reach` points, looked for in the cells around it.
    pub fn nearest(&self, derived: &Derived, axes: &Axes, at: Pos2, reach: f32) -> Option<usize> {
        let around = (reach / CELL).ceil() as isize;
        let from = (at - axes.plot.min) / CELL;
        let (x, y) = (from.x.floor() as isize, from.y.floor() as isize);
        let mut nearest: Option<(f32, usize)> = None;
        for row in (y - around).max(0)..=(y + around).min(self.rows as isize - 1) {
            for column in (x - around).max(0)..=(x + around).min(self.columns as isize - 1) {
                let cell = row as usize * self.columns + column as usize;
                let (start, end) = (self.starts[cell] as usize, self.starts[cell + 1] as usize);
                for &point in &self.order[start..end] {
                    let place = axes.place_of(derived.points.scores[point as usize]);
                    let distance = place.distance(at);
                    if distance < reach && nearest.is_none_or(|(d, _)| distance < d) {
                        nearest = Some((distance, point as usize));
                    }
                }
            }
        }
        nearest.map(|(_, point)| point)
    }
}
