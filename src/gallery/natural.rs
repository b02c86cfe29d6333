//! The order in which people list files: `2.jpg` before `10.jpg`.

use std::cmp::Ordering;

/// Compares names with runs of digits by their value and letters without regard to case; names that are
/// equal in this sense are told apart byte by byte, so that the order is total.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a, b);
    loop {
        let order = match (x.chars().next(), y.chars().next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(c), Some(d)) if c.is_ascii_digit() && d.is_ascii_digit() => {
                let (m, n) = (take_digits(&mut x), take_digits(&mut y));
                // Without leading zeros the longer number is the larger one, however long.
                m.len().cmp(&n.len()).then_with(|| m.cmp(n))
            }
            (Some(c), Some(d)) => {
                x = &x[c.len_utf8()..];
                y = &y[d.len_utf8()..];
                c.to_lowercase().cmp(d.to_lowercase())
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Cuts the leading digits off and returns them without leading zeros.
fn take_digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let mut names = [
            "10.jpg",
            "9.jpg",
            "img_2_1.png",
            "IMG_10_0.png",
            "img_2_0.png",
            "1.jpg",
            "01.jpg",
        ];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(
            names,
            [
                "01.jpg",
                "1.jpg",
                "9.jpg",
                "10.jpg",
                "img_2_0.png",
                "img_2_1.png",
                "IMG_10_0.png"
            ]
        );
        let long = "9".repeat(60);
        assert_eq!(compare(&long, &format!("1{long}")), Ordering::Less);
        assert_eq!(compare("ä1", "ä"), Ordering::Greater);
    }
}
