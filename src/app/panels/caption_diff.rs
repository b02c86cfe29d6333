//! A training caption beside the prompt: the words they share are told apart from the others.

use crate::app::{controls, theme::Theme};
use egui::text::{LayoutJob, TextFormat};
use std::collections::HashSet;

/// A word as it is compared: letters and digits in lower case.
fn folded(word: &str) -> String {
    let letters = word.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The words of a caption, each with whether the prompt has it too.
pub fn shared_words<'a>(caption: &'a str, prompt: &str) -> Vec<(&'a str, bool)> {
    let asked: HashSet<String> = prompt.split_whitespace().map(folded).collect();
    caption
        .split_whitespace()
        .map(|word| {
            let folded = folded(word);
            (word, !folded.is_empty() && asked.contains(&folded))
        })
        .collect()
}

/// One line of the caption: words of the prompt in the text's colour, underlined; the others faint.
pub fn job(caption: &str, prompt: &str, theme: &Theme, width: f32) -> LayoutJob {
    let mut job = LayoutJob::default();
    job.wrap.max_width = width;
    job.wrap.max_rows = 1;
    job.wrap.break_anywhere = true;
    for (word, shared) in shared_words(caption, prompt) {
        let color = if shared { theme.text } else { theme.faint };
        let mut format = TextFormat::simple(controls::small(), color);
        let space = TextFormat::simple(controls::small(), color);
        if shared {
            format.underline = egui::Stroke::new(1.0, theme.weak);
        }
        job.append(word, 0.0, format);
        job.append(" ", 0.0, space);
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shared_whatever_their_case_and_marks() {
        let told = shared_words("The Tin Robot, on a shelf — new", "Robo the tin robot");
        let shared: Vec<&str> = told.iter().filter(|(_, s)| *s).map(|(w, _)| *w).collect();
        assert_eq!(shared, ["The", "Tin", "Robot,"]);
        assert_eq!(told.len(), 8);
    }
}
