//! What is handed on: the report of one or more runs as one HTML file, the tables (CSV, JSON, Parquet) and pictures
//! for slides. The same run gives the same bytes, so nothing in here looks at a clock.
//!
//! `facts` gathers what is said, `summary` counts it, `transitions` compares two runs, `figure` makes the pictures,
//! `plots` draws the diagrams, `page` and `sections` lay the document out, `tables`, `reveal` and `webp` write the other
//! files.

mod command;
mod facts;
mod figure;
mod page;
mod plots;
mod reveal;
mod sections;
mod summary;
mod tables;
mod transitions;
mod webp;

pub use command::{reproduce, seed_words};
pub use facts::{MatchFacts, PictureFacts, PromptFacts, Report, RunFacts, Sources};
pub use figure::{Overlaid, overlaid};
pub use page::{PageOptions, page};
pub use reveal::{is_animated, write_animation, write_still};
pub use summary::{Share, Summary, summarize};
pub use tables::{write_csv, write_json, write_parquet};
pub use transitions::Transitions;
pub use webp::animated_webp;
