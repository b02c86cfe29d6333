//! What a scrolled list showed in the last frame, so that something chosen elsewhere is brought into view.

use egui::{Id, Ui, scroll_area::ScrollAreaOutput};

/// One direction of a list and what was chosen in it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<T> {
    chosen: Option<T>,
    from: f32,
    length: f32,
    /// Farthest that could be scrolled.
    most: f32,
}

impl<T: Copy + PartialEq + Send + Sync + 'static> Seen<T> {
    /// Keeps what is shown in this frame; `axis` 0 is from left to right, 1 from top to bottom.
    pub fn keep<R>(
        ui: &Ui,
        list: &'static str,
        chosen: Option<T>,
        output: &ScrollAreaOutput<R>,
        axis: usize,
    ) {
        let length = output.inner_rect.size()[axis];
        let seen = Self {
            chosen,
            from: output.state.unclamped_offset()[axis],
            length,
            most: (output.content_size[axis] - length).max(0.0),
        };
        ui.data_mut(|d| d.insert_temp(Id::unique(list), seen));
    }

    /// What was shown last, when something else is chosen now.
    pub fn before(ui: &Ui, list: &'static str, chosen: T) -> Option<Self> {
        let seen: Self = ui.data(|d| d.get_temp(Id::unique(list)))?;
        (seen.chosen != Some(chosen)).then_some(seen)
    }

    /// Where to scroll so that a part comes just into view; `None` when it is. Never past the end, from which a list
    /// springs back.
    pub fn scroll_to_edge(&self, start: f32, length: f32) -> Option<f32> {
        if start < self.from {
            Some(start.min(self.most))
        } else if start + length > self.from + self.length {
            Some((start + length - self.length).min(self.most))
        } else {
            None
        }
    }

    /// As [`Self::scroll_to_edge`], with the part in the middle.
    pub fn scroll_to_middle(&self, start: f32, length: f32) -> Option<f32> {
        self.scroll_to_edge(start, length)?;
        Some((start - 0.5 * (self.length - length)).clamp(0.0, self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_out_of_view_are_brought_into_it() {
        let seen = Seen {
            chosen: Some(1),
            from: 100.0,
            length: 50.0,
            most: 400.0,
        };
        assert_eq!(seen.scroll_to_edge(110.0, 20.0), None);
        assert_eq!(seen.scroll_to_edge(40.0, 20.0), Some(40.0));
        assert_eq!(seen.scroll_to_edge(140.0, 20.0), Some(110.0));
        assert_eq!(seen.scroll_to_edge(440.0, 20.0), Some(400.0), "not past the end");
        assert_eq!(seen.scroll_to_middle(110.0, 20.0), None);
        assert_eq!(seen.scroll_to_middle(200.0, 20.0), Some(185.0));
        assert_eq!(seen.scroll_to_middle(0.0, 20.0), Some(0.0));
    }
}
