//! How much a generated picture and a training picture agree, region by region.
//!
//! A picture and its matte become a foreground and a background picture ([`Prepared`]); two of them are
//! compared by MS-SSIM ([`compare`]) in one of three named arithmetics; a whole gallery is searched
//! exactly, without looking at most of its full-resolution pixels ([`Index`]); and the agreement of a
//! shown pair becomes a map ([`local_map`]).

mod cache;
mod composition;
mod error;
mod index;
mod jpeg;
mod kernel;
mod kernel_level;
mod level;
mod links;
mod local_map;
mod measures;
mod planes_codec;
mod prepared;
mod pyramid;
mod resample;
mod search;
mod ssim;

pub use cache::Row;
pub use error::SimilarityError;
pub use index::{Index, IndexBuilder};
pub use jpeg::{decode_jpeg, encode_jpeg};
pub use kernel_level::vector_level;
pub use local_map::local_map;
pub use measures::{Tiled, measure_pair};
pub use prepared::{PairTerms, Prepared, compare, compare_terms};
pub use resample::{Filter, resize_gray, resize_lanczos_gray, resize_lanczos_rgb, resize_rgb, resize_rgba};
