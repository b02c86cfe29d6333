//! How planes lie in the index file: without loss, small, and quick to read back.
//!
//! Sums become differences to the row above (picture rows resemble each other), their low bytes and high
//! bytes are kept apart, and LZ4 folds what repeats: the high bytes, and the black and white that fill the
//! other region of a picture. Full-resolution bytes are kept as a grey PNG, which is smaller and slower;
//! few of them are ever read.

use super::pyramid::SIDE;
use std::io::Cursor;

/// Folds planes that are `side` wide.
pub(super) fn fold(planes: &[u16], side: usize) -> Vec<u8> {
    let n = planes.len();
    let mut split = vec![0u8; 2 * n];
    let (low, high) = split.split_at_mut(n);
    for (i, &v) in planes.iter().enumerate() {
        let above = if i >= side { planes[i - side] } else { 0 };
        let difference = v.wrapping_sub(above) as i16;
        // Small differences of either sign become small numbers.
        let code = ((difference << 1) ^ (difference >> 15)) as u16;
        low[i] = code as u8;
        high[i] = (code >> 8) as u8;
    }
    lz4_flex::block::compress(&split)
}

/// Reads back what [`fold`] made; `false` when `folded` is not that for `planes.len()` values.
pub(super) fn unfold(folded: &[u8], side: usize, split: &mut Vec<u8>, planes: &mut [u16]) -> bool {
    let n = planes.len();
    split.resize(2 * n, 0);
    if !matches!(lz4_flex::block::decompress_into(folded, split), Ok(len) if len == 2 * n) {
        return false;
    }
    let (low, high) = split.split_at(n);
    for (p, (&l, &h)) in planes.iter_mut().zip(low.iter().zip(high)) {
        let code = u16::from(l) | u16::from(h) << 8;
        *p = (code >> 1) ^ (code & 1).wrapping_neg();
    }
    let mut rest = planes;
    while rest.len() >= 2 * side {
        let (above, from_here) = rest.split_at_mut(side);
        for (v, a) in from_here[..side].iter_mut().zip(above.iter()) {
            *v = v.wrapping_add(*a);
        }
        rest = from_here;
    }
    true
}

/// Bytes 512 wide as a PNG file.
pub(super) fn to_png(planes: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, SIDE as u32, (planes.len() / SIDE) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    // The filter that is undone fastest; the adaptive ones save a few per cent.
    encoder.set_filter(png::Filter::Up);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(planes)?;
    writer.finish()?;
    Ok(out)
}

/// Reads back what [`to_png`] made; `false` when `file` is not that for `planes.len()` bytes.
pub(super) fn from_png(file: &[u8], planes: &mut [u8]) -> bool {
    let limits = png::Limits {
        bytes: 4 * planes.len(),
    };
    let Ok(mut reader) = png::Decoder::new_with_limits(Cursor::new(file), limits).read_info() else {
        return false;
    };
    reader.output_buffer_size() == Some(planes.len()) && reader.next_frame(planes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn every_value_comes_back(planes in prop::collection::vec(any::<u16>(), 64), side in 1usize..9) {
            let planes = &planes[..side * side * (64 / (side * side))];
            let folded = fold(planes, side);
            let mut back = vec![7; planes.len()];
            prop_assert!(unfold(&folded, side, &mut Vec::new(), &mut back));
            prop_assert_eq!(back, planes);
        }

        #[test]
        fn foreign_bytes_are_refused_or_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            unfold(&bytes, 4, &mut Vec::new(), &mut [0; 64]);
            prop_assert!(!from_png(&bytes, &mut [0; 512]));
        }
    }

    #[test]
    fn full_resolution_comes_back_and_a_damaged_file_does_not() {
        let planes: Vec<u8> = (0..4 * SIDE * 8).map(|i| (i * i / 977 % 256) as u8).collect();
        let file = to_png(&planes).unwrap();
        let mut back = vec![0; planes.len()];
        assert!(from_png(&file, &mut back));
        assert_eq!(back, planes);
        assert!(!from_png(&file[..file.len() / 2], &mut back));
        assert!(!from_png(&file, &mut back[..SIDE]));
        let mut damaged = file.clone();
        damaged[file.len() / 2] ^= 0x10;
        assert!(!from_png(&damaged, &mut back));
    }
}
