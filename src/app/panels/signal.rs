//! The live signal: how strongly the prompt pulls at each step, over the calm band of pictures that
//! nobody memorized. It leaves the band steps before the picture can be seen.

use crate::{
    app::{context::Cx, controls, state::State, theme::UNIT},
    memorization::NoiseBand,
    study::{GenerationKey, Verdict},
};
use egui::{Align2, Id, Mesh, Pos2, Rect, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};
use std::sync::Arc;

/// The band under a curve: of an opened file, or of the study's own unmemorized pictures of other prompts.
#[derive(Clone)]
struct Under {
    key: Key,
    /// When it was made, in seconds of the window's clock.
    since: f64,
    band: Option<Arc<NoiseBand>>,
    own: bool,
}

/// What a band was made from.
#[derive(Clone, PartialEq)]
struct Key {
    first: Option<Arc<str>>,
    prompt: u32,
    steps: usize,
    opened: u64,
    file: usize,
    version: u64,
    thresholds: [u32; 2],
}

impl Key {
    /// Whether only scores or thresholds have changed.
    fn same_curves(&self, other: &Self) -> bool {
        (self.prompt, self.steps, self.opened, self.file)
            == (other.prompt, other.steps, other.opened, other.file)
            && self.first == other.first
    }
}

/// Draws the curve into the rest of the pane.
pub fn ui(ui: &mut Ui, cx: &Cx<'_>) {
    let Some(key) = cx.state.selection.key() else {
        return;
    };
    // Of the picture that is looked at, which may be B's.
    let (curve, steps) = match cx.state.current() {
        Some(shown) if cx.state.study.forming(key).is_none() => (&*shown.noise_norm, shown.noise_norm.len()),
        _ => cx.state.study.noise(key),
    };
    let (curve, steps) = (curve, steps.max(2));
    if ui.available_height() < 14.0 * UNIT {
        return;
    }
    let size = vec2(ui.available_width(), ui.available_height().min(150.0));
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let theme = cx.theme;
    let painter = ui.painter_at(rect.expand(1.0));
    let under = under(ui, cx, key.prompt, steps);
    let band = under.band.as_deref().filter(|_| !curve.is_empty());
    let title = match band {
        _ if curve.is_empty() => "Text-conditional noise: nothing measured yet".to_owned(),
        Some(band) => match band.above(curve).len() {
            0 => "Text-conditional noise: never above the band".to_owned(),
            n => format!(
                "Text-conditional noise: above the band at {n} of {} steps",
                curve.len()
            ),
        },
        None => "Text-conditional noise at each step".to_owned(),
    };
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Figure, true, &title));
    let heading = |words: String| painter.layout_no_wrap(words, controls::small(), theme.weak);
    let mut words = heading(title.clone());
    if words.size().x > rect.width() {
        words = heading(title.replacen("Text-conditional noise", "Noise", 1));
    }
    painter.galley(rect.left_top() + vec2(0.0, 2.0), words, theme.weak);
    if curve.is_empty() {
        return;
    }
    let plot = Rect::from_min_max(
        rect.left_top() + vec2(0.0, 5.5 * UNIT),
        rect.right_bottom() - vec2(0.0, 4.5 * UNIT),
    );
    let top = curve
        .iter()
        .chain(band.iter().flat_map(|b| &b.high))
        .copied()
        .filter(|v| v.is_finite())
        .fold(f32::MIN_POSITIVE, f32::max)
        * 1.06;
    let place = |at: f32, value: f32| {
        let share = (value / top).clamp(0.0, 1.0);
        pos2(
            plot.left() + at * plot.width(),
            plot.bottom() - share * plot.height(),
        )
    };
    painter.hline(plot.x_range(), plot.bottom(), Stroke::new(1.0, theme.line));
    if let Some(band) = band {
        painter.add(band_shape(band, place, theme.hovered));
        let middle = band.steps() * 2 / 3;
        let at = place(
            middle as f32 / (band.steps() - 1).max(1) as f32,
            (band.low[middle] + band.high[middle]) * 0.5,
        );
        painter.text(
            at,
            Align2::CENTER_CENTER,
            "not memorized",
            controls::small(),
            theme.weak,
        );
    }
    let points: Vec<Pos2> = curve
        .iter()
        .enumerate()
        .filter(|(_, v)| v.is_finite())
        .map(|(i, v)| place(i as f32 / (steps - 1) as f32, *v))
        .collect();
    if let Some(&end) = points.last() {
        painter.add(Shape::line(points, Stroke::new(1.8, theme.accent)));
        if curve.len() < steps {
            painter.circle_filled(end, 3.0, theme.accent);
        }
    }
    let axis = |x: f32, anchor: Align2, text: String| {
        painter.text(
            pos2(x, plot.bottom() + 3.0),
            anchor,
            text,
            controls::small(),
            theme.faint,
        );
    };
    axis(plot.left(), Align2::LEFT_TOP, "step 1".to_owned());
    axis(plot.right(), Align2::RIGHT_TOP, steps.to_string());
    let rests = rests(band, under.own, steps);
    let room = plot.width() - 70.0;
    let font = controls::small();
    let width = painter
        .layout_no_wrap(rests.clone(), font.clone(), theme.faint)
        .rect
        .width();
    let at = pos2(
        plot.center().x - 0.5 * width.min(room),
        plot.bottom() + 3.0 + 0.5 * font.size,
    );
    controls::line(&painter, at, &rests, font, theme.faint, room);
    response.on_hover_text(format!(
        "Distance between the noise predicted with and without the prompt, at every denoising step.\n\
         The band reaches from the 5th to the 95th percentile of pictures that copied nothing.\n{rests}"
    ));
}

/// What the band rests on, or why there is none.
fn rests(band: Option<&NoiseBand>, own: bool, steps: usize) -> String {
    match band {
        Some(band) => format!(
            "band of {} {}pictures, {} prompts, {} seeds",
            band.curves,
            if own { "NM " } else { "other " },
            band.prompts,
            band.seeds
        ),
        None if own => format!(
            "no band: fewer than {} NM pictures of other prompts with {steps} steps",
            NoiseBand::FEWEST
        ),
        None => format!("no band: the opened one has not {steps} steps"),
    }
}

/// Made anew only when what it follows from has changed. Over many pictures that takes a while: while a threshold is
/// dragged or a run goes on it follows a few times a second.
fn under(ui: &Ui, cx: &Cx<'_>, prompt: u32, steps: usize) -> Under {
    const MANY: usize = 2000;
    const PAUSE: f64 = 0.25;
    let state = cx.state;
    let thresholds = &state.thresholds;
    let file = state.band.as_ref();
    let key = Key {
        first: state.study.first().clone(),
        prompt,
        steps,
        opened: state.study.opened(),
        file: file.map_or(0, |f| Arc::as_ptr(f) as usize),
        version: state.study.version(),
        thresholds: [thresholds.foreground.to_bits(), thresholds.background.to_bits()],
    };
    let place = Id::unique("band under the noise curve");
    let now = ui.input(|i| i.time);
    if let Some(known) = ui.data(|d| d.get_temp::<Under>(place)) {
        if known.key == key {
            return known;
        }
        let left = known.since + PAUSE - now;
        if known.key.same_curves(&key) && state.study.len() > MANY && left > 0.0 {
            ui.ctx()
                .request_repaint_after(std::time::Duration::from_secs_f64(left));
            return known;
        }
    }
    let band = match file {
        Some(file) => (file.band.steps() == steps).then(|| file.band.clone()),
        None => state.study.band(&calm(state, prompt), steps),
    };
    let made = Under {
        key,
        since: now,
        band: band.map(Arc::new),
        own: file.is_none(),
    };
    ui.data_mut(|d| d.insert_temp(place, made.clone()));
    made
}

/// A's pictures of other prompts that copied nothing.
fn calm(state: &State, except: u32) -> Vec<GenerationKey> {
    let derived = &state.derived;
    let rows = derived.points.keys[..derived.points.alone].iter().enumerate();
    rows.filter(|(row, key)| key.prompt != except && derived.class(*row) == Some(Verdict::NotMemorized))
        .map(|(_, key)| *key)
        .collect()
}

fn band_shape(band: &NoiseBand, place: impl Fn(f32, f32) -> Pos2, color: egui::Color32) -> Shape {
    let mut mesh = Mesh::default();
    let count = band.low.len();
    for (i, (low, high)) in band.low.iter().zip(&band.high).enumerate() {
        let at = i as f32 / (count - 1).max(1) as f32;
        mesh.colored_vertex(place(at, *low), color);
        mesh.colored_vertex(place(at, *high), color);
        if i > 0 {
            let v = 2 * i as u32;
            mesh.add_triangle(v - 2, v - 1, v);
            mesh.add_triangle(v - 1, v, v + 1);
        }
    }
    Shape::mesh(mesh)
}
