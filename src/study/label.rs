//! What is known of pictures beforehand: the truth that scores and thresholds are measured against.

use super::{GenerationKey, Prompt, Region, Verdict};
use std::collections::HashMap;

/// Whether the regions of a picture really are memorized; `None` where nobody said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RegionLabels {
    /// The foreground reproduces a training image.
    pub foreground: Option<bool>,
    /// The background does.
    pub background: Option<bool>,
}

impl RegionLabels {
    /// Label of one region.
    pub fn of(&self, region: Region) -> Option<bool> {
        match region {
            Region::Foreground => self.foreground,
            Region::Background => self.background,
        }
    }

    /// The class, where both regions are labelled.
    pub fn verdict(&self) -> Option<Verdict> {
        Some(Verdict::of_regions(self.foreground?, self.background?))
    }
}

impl From<Verdict> for RegionLabels {
    fn from(class: Verdict) -> Self {
        let (foreground, background) = match class {
            Verdict::Verbatim => (true, true),
            Verdict::ForegroundOnly => (true, false),
            Verdict::BackgroundOnly => (false, true),
            Verdict::NotMemorized => (false, false),
        };
        Self {
            foreground: Some(foreground),
            background: Some(background),
        }
    }
}

/// Labels by picture.
pub type Labels = HashMap<GenerationKey, RegionLabels>;

/// The classes that a prompt list names, by [`Prompt::index`]: labels of all pictures of these prompts. `None` unless
/// every prompt that has a group has one of the four classes: NeMo's types VM and TM look alike and mean other things.
pub fn labels_of_prompts(prompts: &[Prompt]) -> Option<HashMap<u32, RegionLabels>> {
    let mut labels = HashMap::new();
    for prompt in prompts {
        if let Some(group) = prompt.group.as_deref().filter(|g| !g.trim().is_empty()) {
            labels.insert(prompt.index, Verdict::from_letters(group)?.into());
        }
    }
    (!labels.is_empty()).then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_of_the_four_classes_are_truth() {
        let prompt = |index, group: Option<&str>| Prompt {
            index,
            text: "a".into(),
            group: group.map(str::to_owned),
        };
        let planned = [prompt(0, Some("VM")), prompt(1, None), prompt(2, Some("bm"))];
        let labels = labels_of_prompts(&planned).unwrap();
        assert_eq!(labels.len(), 2);
        assert_eq!(labels[&2].verdict(), Some(Verdict::BackgroundOnly));
        assert_eq!(
            labels_of_prompts(&[prompt(0, Some("VM")), prompt(1, Some("TM"))]),
            None
        );
        assert_eq!(labels_of_prompts(&[prompt(0, None)]), None);
        for class in Verdict::ALL {
            assert_eq!(RegionLabels::from(class).verdict(), Some(class));
        }
    }
}
