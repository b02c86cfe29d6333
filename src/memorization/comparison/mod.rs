//! Two runs compared picture by picture, at the same prompts and seeds: which classes changed into which, by how
//! much each region's score moved, whether the pictures are still pictures, and how sure all that is.

mod bootstrap;
mod compare;
mod diversity;
mod fit;
mod picture;
mod quality;

pub use bootstrap::{Bootstrap, Estimate, median_low};
pub use compare::{Comparison, Joined, Mitigation, Persistence, Seconds, Subject, compare};
pub use diversity::{Diversity, EmbeddingDistance, PictureDistance, SketchDistance};
pub use fit::{ClipScores, PromptFit};
pub use picture::{PictureSummary, SKETCH_SIDE};
pub use quality::{Quality, Statistic};
