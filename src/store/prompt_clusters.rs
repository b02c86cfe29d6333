//! The clusters that a prompt list names, as FB-Mem's `memorized_laion_prompts_cluster_all_embeddings.csv` does.

use crate::{
    store::MAX_PROMPTS,
    study::Problem,
    tables::{self, Delimited},
};
use std::{collections::HashMap, path::Path};

const MAX_BYTES: u64 = 1 << 30;

/// The column `cluster` of a prompt list, by the prompts' numbers ([`Prompt::index`](crate::study::Prompt::index)). Rows
/// without a whole number there have none.
///
/// # Errors
/// A file that cannot be read, or without this column.
pub fn read_clusters(path: &Path) -> Result<HashMap<u32, u32>, Problem> {
    let text = tables::read_text(path, MAX_BYTES)?;
    let table = Delimited::parse(&text.text, &["cluster"], MAX_PROMPTS).map_err(|found| {
        Problem::new(
            "This prompt list names no clusters",
            "Add a column cluster with a whole number for every prompt.",
        )
        .at(path)
        .detail(format!("line 1: columns found: {}", found.join(", ")))
    })?;
    let column = tables::column(&table.headers, &["cluster"]);
    let number = |(row, index): (&tables::Row, u32)| Some((index, row.cell(column)?.parse().ok()?));
    Ok(table.rows.iter().zip(0..).filter_map(number).collect())
}
