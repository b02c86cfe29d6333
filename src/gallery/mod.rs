//! Training images: finding them in a folder, decoding them within bounds, their captions and mattes, and
//! the fingerprints by which everything computed from them is cached.

mod cache;
mod captions;
mod decode;
mod natural;
mod scan;

pub use cache::{cache_dir, content_hash, fingerprint, folder_hash};
pub use decode::{
    DecodeError, MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, decode_matte, decode_rgb, decode_rgba,
    read_image_file, thumbnail,
};
pub use scan::{ScannedGallery, is_image_name, scan};
