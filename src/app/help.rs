//! What the window's terms mean and where they come from, for tooltips: classes, scores, thresholds, edits.

use crate::study::{Edit, Region, Verdict};

/// The paper that classes, scores and thresholds come from.
const FB_MEM: &str = "FB-Mem, arXiv 2508.12148";

/// What a class says of a picture, and what decides it.
pub fn verdict(verdict: Verdict) -> String {
    let (name, rule) = match verdict {
        Verdict::Verbatim => ("verbatim memorization", "F and B reach their thresholds"),
        Verdict::ForegroundOnly => ("foreground memorization", "F reaches its threshold, B does not"),
        Verdict::BackgroundOnly => ("background memorization", "B reaches its threshold, F does not"),
        Verdict::NotMemorized => (
            "not memorized",
            "neither F nor B reaches its threshold; a moved, mirrored or restyled copy can score as low",
        ),
    };
    format!(
        "{}, {name}: {}.\n{rule}. ({FB_MEM})",
        verdict.letters(),
        verdict.meaning()
    )
}

/// What a region's score measures.
pub fn score(region: Region) -> String {
    let (letter, what) = match region {
        Region::Foreground => ("F", "foregrounds"),
        Region::Background => ("B", "backgrounds"),
    };
    format!(
        "{letter}: how alike the {what} of the picture and of this training image are, by MS-SSIM; 1 is equal.\n\
         The region is what the mattes leave of both; a region that is missing has no score. ({FB_MEM})"
    )
}

/// What a threshold does.
pub fn threshold(region: Region) -> String {
    let letter = match region {
        Region::Foreground => 'F',
        Region::Background => 'B',
    };
    format!(
        "From this {letter} on the region counts as copied. 0.80 is the fixed value of the FB-Mem code and belongs to its own \
         arithmetic;\n“Suggest 1 %” measures what this gallery's unrelated pictures score. ({FB_MEM})"
    )
}

/// What an edit does, and whose method it is.
pub fn edit(edit: &Edit) -> &'static str {
    match edit {
        Edit::Neurons(_) => {
            "Scales value neurons of cross-attention layers that act when the prompt is memorized. (NeMo, Hintersdorf et \
             al., NeurIPS 2024)"
        }
        Edit::Mask(_) => {
            "Sets to zero the weights that matter most for memorized prompts by Wanda's score. (Chavhan et al., arXiv \
             2406.18566)"
        }
        Edit::Embedding(_) => {
            "Draws the prompt with another embedding, moved until it pulls less towards one picture. (Wen et al., ICLR 2024)"
        }
        Edit::Guidance(_) => {
            "Draws the first steps with other guidance, past the basin that attracts to one picture. (Jain et al., CVPR 2025)"
        }
        Edit::Cluster(_) => {
            "Holds for prompts whose text embedding is nearest to this cluster's middle; they get its edits and no other cluster's. \
             (NeMo-C, FB-Mem)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_names_its_rule_and_its_source() {
        let all = Verdict::ALL.map(verdict);
        for (words, class) in all.iter().zip(Verdict::ALL) {
            assert!(words.starts_with(class.letters()), "{words}");
            assert!(
                words.contains("2508.12148") && words.contains("threshold"),
                "{words}"
            );
        }
        for region in [Region::Foreground, Region::Background] {
            assert!(score(region).contains("2508.12148") && threshold(region).contains("2508.12148"));
        }
    }
}
