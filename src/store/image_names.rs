//! File names of generated pictures, as the FB-Mem code and its relatives write them.

/// What a picture's file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureName {
    /// Cluster of a cluster run (`{c}_img_{k}_{j}.jpg`).
    pub cluster: Option<u32>,
    /// Position in the prompt list: k.
    pub prompt: u32,
    /// Number of the sample, or the seed: j.
    pub sample: u64,
}

/// Reads `img_0003_01.png`, `2_img_0003_01.jpg`, `img_3_1.jpeg`, `3_1.jpg` or `2_3_1.jpg`: the pattern
/// `(CLUSTER_)? (img_)? PROMPT_SAMPLE . (jpg|jpeg|png)`, the ending in any case. `None` for any other name,
/// also for numbers too large for a prompt index or a seed.
pub fn parse_picture_name(file_name: &str) -> Option<PictureName> {
    let (stem, extension) = file_name.rsplit_once('.')?;
    if !["jpg", "jpeg", "png"]
        .iter()
        .any(|e| extension.eq_ignore_ascii_case(e))
    {
        return None;
    }
    let parts: Vec<&str> = stem.split('_').collect();
    let (cluster, prompt, sample) = match parts[..] {
        [prompt, sample] | ["img", prompt, sample] => (None, prompt, sample),
        [cluster, "img", prompt, sample] | [cluster, prompt, sample] => (Some(cluster), prompt, sample),
        _ => return None,
    };
    Some(PictureName {
        cluster: match cluster {
            Some(digits) => Some(u32::try_from(number(digits)?).ok()?),
            None => None,
        },
        prompt: u32::try_from(number(prompt)?).ok()?,
        sample: number(sample)?,
    })
}

/// Digits only: `parse` alone would accept a plus sign.
fn number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_reference_is_read() {
        let read = |name| parse_picture_name(name).map(|n| (n.cluster, n.prompt, n.sample));
        assert_eq!(read("img_0003_01.png"), Some((None, 3, 1)));
        assert_eq!(read("img_3_1.JPEG"), Some((None, 3, 1)));
        assert_eq!(read("3_1.jpg"), Some((None, 3, 1)));
        assert_eq!(read("11_img_0065_04.jpg"), Some((Some(11), 65, 4)));
        assert_eq!(read("7_12_2.jpg"), Some((Some(7), 12, 2)));
        assert_eq!(
            read("img_0000_18446744073709551615.png"),
            Some((None, 0, u64::MAX))
        );
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            ".",
            "img_.png",
            "img_1.png",
            "img_1_.png",
            "_1_2.png",
            "img_+1_2.png",
            "img_1_2",
            "img_1_2.webp",
            "IMG_1_2.png",
            "a_img_1_2.png",
            "1_2_3_4.png",
            "img_1_2.png.txt",
            "img_99999999999_1.png",
            "img_1_99999999999999999999.png",
            "img_1_2 .png",
            "img_١_2.png",
            "99999999999_1_2.png",
        ] {
            assert_eq!(parse_picture_name(name), None, "{name}");
        }
    }
}
