//! Every colour and size of the window. Nothing else names a colour.

use crate::study::Verdict;
use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle, vec2};

/// Grid unit in points; distances are multiples of it.
pub const UNIT: f32 = 4.0;
/// Inner margin of a pane.
pub const PANE_MARGIN: f32 = 3.0 * UNIT;
/// Corner radius of cards and buttons.
pub const RADIUS: u8 = 6;
/// Height of the bar.
pub const BAR_HEIGHT: f32 = 44.0;
/// Height of a pane's header line.
pub const HEADER_HEIGHT: f32 = 28.0;
/// Small type: captions, axes, counts.
pub const SMALL: f32 = 11.5;
/// Body type.
pub const BODY: f32 = 13.0;
/// Headings.
pub const HEADING: f32 = 15.0;
/// The verdict's letters.
pub const LARGE: f32 = 26.0;
/// Longest animation, seconds.
pub const MOTION: f32 = 0.12;

/// The colours of one appearance.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Dark or light.
    pub dark: bool,
    /// Panes and the bar.
    pub pane: Color32,
    /// Behind the picture on the Stage.
    pub stage: Color32,
    /// Buttons, fields, cards.
    pub raised: Color32,
    /// The same under the pointer.
    pub hovered: Color32,
    /// A chosen row.
    pub chosen: Color32,
    /// Thin lines.
    pub line: Color32,
    /// Text.
    pub text: Color32,
    /// Text of second rank.
    pub weak: Color32,
    /// Hints, axes.
    pub faint: Color32,
    /// The one accent.
    pub accent: Color32,
    /// A button that is on, and the main action.
    pub strong: Color32,
    /// Text on [`Theme::strong`].
    pub on_strong: Color32,
    /// Troubles.
    pub danger: Color32,
    /// Panels that float over the picture.
    pub float: Color32,
    /// Text on a picture's caption.
    pub shadow: Color32,
    verdicts: [Color32; 4],
}

const fn grey(rgb: u32) -> Color32 {
    Color32::from_rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

impl Theme {
    /// Quiet graphite, so that pictures carry the colour.
    pub fn dark() -> Self {
        Self {
            dark: true,
            pane: grey(0x121416),
            stage: grey(0x0A0B0C),
            raised: grey(0x1D2023),
            hovered: grey(0x282C30),
            chosen: grey(0x232A33),
            line: grey(0x25292D),
            text: grey(0xE4E7EA),
            weak: grey(0x9AA1A9),
            faint: grey(0x71787F),
            accent: grey(0xFF8C5A),
            strong: grey(0xE9ECEF),
            on_strong: grey(0x15181A),
            danger: grey(0xF0716B),
            float: Color32::from_rgba_premultiplied(16, 18, 20, 232),
            shadow: Color32::from_black_alpha(110),
            verdicts: [grey(0x9D7BFF), grey(0x4BA3FF), grey(0x3CCB87), grey(0x8A9198)],
        }
    }

    /// Paper, for print and bright rooms.
    pub fn light() -> Self {
        Self {
            dark: false,
            pane: grey(0xF8F9FA),
            stage: grey(0xE3E6E9),
            raised: grey(0xEBEEF0),
            hovered: grey(0xDFE3E7),
            chosen: grey(0xDDE7F2),
            line: grey(0xD9DDE1),
            text: grey(0x1A1E22),
            weak: grey(0x565E66),
            faint: grey(0x79818A),
            accent: grey(0xD2541B),
            strong: grey(0x23282D),
            on_strong: grey(0xF8F9FA),
            danger: grey(0xC6352F),
            float: Color32::from_rgba_premultiplied(240, 241, 242, 242),
            shadow: Color32::from_black_alpha(40),
            verdicts: [grey(0x6E45E2), grey(0x1769CF), grey(0x0E8450), grey(0x6C737A)],
        }
    }

    /// Colour of a group by its id, away from the accent and the classes' strength; neighbouring ids differ.
    pub fn group(&self, id: u32) -> Color32 {
        let turn = (id.wrapping_mul(0x9E37_79B9) >> 8) as f32 / (1u32 << 24) as f32;
        let (saturation, value) = if self.dark { (0.5, 0.88) } else { (0.62, 0.68) };
        egui::ecolor::Hsva::new(turn, saturation, value, 1.0).into()
    }

    /// Colour of a class; letters and shape always go with it.
    pub fn verdict(&self, verdict: Option<Verdict>) -> Color32 {
        match verdict {
            Some(Verdict::Verbatim) => self.verdicts[0],
            Some(Verdict::ForegroundOnly) => self.verdicts[1],
            Some(Verdict::BackgroundOnly) => self.verdicts[2],
            Some(Verdict::NotMemorized) => self.verdicts[3],
            None => self.faint,
        }
    }

    /// Colour of the foreground's score and outline.
    pub fn foreground(&self) -> Color32 {
        self.verdict(Some(Verdict::ForegroundOnly))
    }

    /// Colour of the background's score and outline.
    pub fn background(&self) -> Color32 {
        self.verdict(Some(Verdict::BackgroundOnly))
    }

    /// A line of the theme.
    pub fn stroke(&self) -> Stroke {
        Stroke::new(1.0, self.line)
    }

    /// A colour for the overlay shader: RGBA in gamma space.
    pub fn shader(color: Color32) -> [f32; 4] {
        color.to_array().map(|c| f32::from(c) / 255.0)
    }

    /// Puts colours and sizes into egui.
    pub fn apply(&self, ctx: &egui::Context) {
        let theme = if self.dark {
            egui::Theme::Dark
        } else {
            egui::Theme::Light
        };
        ctx.set_theme(theme);
        ctx.style_mut_of(theme, |style| {
            style.text_styles = [
                (TextStyle::Small, FontId::new(SMALL, FontFamily::Proportional)),
                (TextStyle::Body, FontId::new(BODY, FontFamily::Proportional)),
                (TextStyle::Button, FontId::new(BODY, FontFamily::Proportional)),
                (TextStyle::Heading, FontId::new(HEADING, FontFamily::Proportional)),
                (TextStyle::Monospace, FontId::new(SMALL, FontFamily::Monospace)),
            ]
            .into();
            style.animation_time = MOTION;
            style.interaction.selectable_labels = false;
            style.interaction.tooltip_delay = 0.35;
            let spacing = &mut style.spacing;
            spacing.item_spacing = vec2(2.0 * UNIT, 1.5 * UNIT);
            spacing.button_padding = vec2(2.5 * UNIT, 1.0 * UNIT);
            spacing.interact_size.y = 6.0 * UNIT;
            spacing.menu_margin = Margin::same(6);
            spacing.window_margin = Margin::same(12);
            spacing.slider_rail_height = 3.0;
            spacing.scroll = egui::style::ScrollStyle::thin();

            let visuals = &mut style.visuals;
            visuals.panel_fill = self.pane;
            visuals.window_fill = self.pane;
            visuals.window_stroke = self.stroke();
            visuals.window_corner_radius = CornerRadius::same(RADIUS + 2);
            visuals.menu_corner_radius = CornerRadius::same(RADIUS);
            let shadow = Shadow {
                offset: [0, 6],
                blur: 24,
                spread: 0,
                color: self.shadow,
            };
            visuals.window_shadow = shadow;
            visuals.popup_shadow = shadow;
            visuals.extreme_bg_color = self.raised;
            visuals.text_edit_bg_color = Some(self.raised);
            visuals.faint_bg_color = self.raised;
            visuals.hyperlink_color = self.accent;
            visuals.error_fg_color = self.danger;
            visuals.warn_fg_color = self.accent;
            visuals.weak_text_color = Some(self.weak);
            visuals.selection.bg_fill = self.accent.gamma_multiply(0.45);
            visuals.selection.stroke = Stroke::new(1.0, self.weak);
            visuals.slider_trailing_fill = true;
            visuals.handle_shape = egui::style::HandleShape::Circle;
            visuals.striped = false;
            let states = &mut visuals.widgets;
            let radius = CornerRadius::same(RADIUS);
            for (state, fill, text) in [
                (&mut states.noninteractive, self.pane, self.text),
                (&mut states.inactive, self.raised, self.text),
                (&mut states.hovered, self.hovered, self.text),
                (&mut states.active, self.hovered, self.text),
                (&mut states.open, self.hovered, self.text),
            ] {
                state.bg_fill = fill;
                state.weak_bg_fill = fill;
                state.bg_stroke = Stroke::NONE;
                state.fg_stroke = Stroke::new(1.0, text);
                state.corner_radius = radius;
                state.expansion = 0.0;
            }
            states.noninteractive.bg_stroke = self.stroke();
            // Rail and handle of a slider have to be seen on a raised ground too.
            states.inactive.bg_fill = self.hovered;
            states.hovered.bg_fill = self.line;
        });
    }
}
