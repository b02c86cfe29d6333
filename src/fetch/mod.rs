//! Published weights from the internet: which there are, where they lie on this machine, and getting them. Nothing here
//! runs unless a person asks for it by `pentimento fetch NAME` or the *Get* button.

mod catalog;
mod http;
mod locate;
mod manager;
mod partial;
mod transfer;

pub use catalog::{CATALOG, File, Model, Use, megabytes, model};
pub use locate::{Found, Places};
pub use manager::{Getting, Shelf, State};
pub use transfer::{Done, Order, Progress, fetch, is_sha256};

#[cfg(test)]
#[path = "../../tests/common/stand_in.rs"]
mod stand_in;
#[cfg(test)]
mod tests;
