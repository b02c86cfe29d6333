//! Damage: what a seed file becomes.

/// The splitmix64 generator.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            (self.next() % end as u64) as usize
        }
    }
}

/// Pieces that readers stumble over.
const PIECES: [&[u8]; 46] = [
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\r\n",
    b"\n",
    b"\"",
    b"\"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[",
    b"{\"a\":{\"a\":",
    b"null",
    b"NaN",
    b"1e999",
    b"-1",
    b"0",
    b"18446744073709551616",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"0.0000000000000000000001",
    b";",
    b",",
    b"\t",
    b"..",
    b"../../etc/passwd",
    b"/dev/zero",
    b"\\",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"'",
    b"format = 2\n",
    b"= ",
    b"#",
    b"\"shape\":[4294967296,4294967296]",
    b"\"data_offsets\":[0,18446744073709551615]",
    b"IHDR",
    b"IDAT",
    b"\x89PNG\r\n\x1a\n",
    b"\x80\x02",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
];
/// Longest input.
const MOST: usize = 1 << 20;

/// Damages `seed` in one to eight places, sometimes with parts of `other`.
pub fn mutate(dice: &mut Dice, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 + dice.below(8) {
        let at = dice.below(bytes.len() + 1);
        let most = 1 << dice.below(9);
        let end = (at + 1 + dice.below(most)).min(bytes.len());
        match dice.below(11) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.next() as u8,
            2 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'0', b'9'][dice.below(8)],
            3 if at < end => drop(bytes.drain(at..end)),
            4 if at < end => {
                let again = bytes[at..end].to_vec();
                for _ in 0..1 + dice.below(4) {
                    bytes.splice(at..at, again.iter().copied());
                }
            }
            5 => bytes.truncate(at),
            6 => {
                let piece = PIECES[dice.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            7 => {
                let piece = PIECES[dice.below(PIECES.len())];
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            8 if !other.is_empty() => {
                let from = dice.below(other.len());
                let to = (from + 1 + dice.below(200)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            9 => number(dice, &mut bytes),
            // A 32-bit or 64-bit field with a length or an offset in it.
            _ if at + 8 <= bytes.len() => {
                let value = [
                    0,
                    1,
                    u64::MAX,
                    1 << 31,
                    1 << 32,
                    1 << 62,
                    bytes.len() as u64,
                    dice.next(),
                ][dice.below(8)];
                let field = if dice.below(2) == 0 {
                    value.to_le_bytes()
                } else {
                    value.to_be_bytes()
                };
                let width = [2, 4, 8][dice.below(3)];
                let part = if dice.below(2) == 0 {
                    &field[..width]
                } else {
                    &field[8 - width..]
                };
                bytes[at..at + width].copy_from_slice(part);
            }
            _ => {}
        }
        bytes.truncate(MOST);
    }
    bytes
}

/// Writes another number in the place of one.
fn number(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let digits: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
    if digits.is_empty() {
        return;
    }
    let at = digits[dice.below(digits.len())];
    let end = (at..bytes.len())
        .find(|&i| !bytes[i].is_ascii_digit())
        .unwrap_or(bytes.len());
    let value = [
        "0",
        "1",
        "-1",
        "65536",
        "4294967295",
        "4294967296",
        "1e30",
        "99999999999999999999",
        "0.5",
        "nan",
    ][dice.below(10)];
    bytes.splice(at..end, value.bytes());
}
