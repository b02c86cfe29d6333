//! Training images: finding them in a folder, decoding them within bounds, their captions and mattes, and
//! the fingerprints by which everything computed from them is cached.

mod cache;
mod captions;
mod decode;
mod mattes;
mod natural;
mod scan;
mod tree;

pub use cache::{cache_dir, content_hash, content_hashes, fingerprint, folder_hash};
pub use decode::{
    DecodeError, MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, decode_matte, decode_rgb, decode_rgb_bytes,
    decode_rgba, read_image_file, thumbnail,
};
pub use mattes::{MatteCache, PictureKey, write_matte};
pub use scan::{ScannedGallery, is_image_name, mask_named, scan, scan_flat, take_mattes};
pub use tree::{MAX_DEPTH, MAX_FOLDERS};
