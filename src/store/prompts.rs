//! Prompt lists in every form the field uses.

use crate::{
    study::{Problem, Prompt},
    tables::{self, Complaints, Delimited, Row},
};
use std::path::Path;

/// Most prompts that are read.
pub const MAX_PROMPTS: usize = 1_000_000;
/// Longest prompt, in characters.
pub const MAX_PROMPT_CHARS: usize = 10_000;
const MAX_BYTES: u64 = 1 << 30;

const TEXT_COLUMNS: [&str; 3] = ["caption", "prompt", "text"];
const GROUP_COLUMNS: [&str; 5] = ["group", "type", "mem type", "class", "category"];

/// Reads a prompt list and what there is to tell about it.
///
/// - `.csv`, `.tsv`: a header with a column Caption, prompt or text (any case), separated by `;`, `,` or
///   tabs; a column group or type is kept. The FB-Mem and NeMo lists are of this kind; in lines of their
///   rewrites where caption and address run together, the address is cut off and the line is reported.
/// - `.jsonl`, `.ndjson`: one object per line with `caption`, `prompt` or `text` (Wen et al.).
/// - anything else: one prompt per line; `{` at the beginning makes it JSON lines.
///
/// [`Prompt::index`] counts the rows (lines that are not blank) from 0, unusable ones included, so that it
/// stays the row number k of the reference's picture names.
///
/// # Errors
/// A problem when the file cannot be read, has no column of prompts, or holds no prompt.
pub fn read_prompts(path: &Path) -> Result<(Vec<Prompt>, Vec<Problem>), Problem> {
    let text = tables::read_text(path, MAX_BYTES)?;
    let mut list = List::default();
    if let Some(line) = text.unreadable {
        list.bad
            .add(line, "is not UTF-8; unreadable letters were replaced");
    }
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("csv" | "tsv") => list.read_table(path, &text.text)?,
        Some("jsonl" | "ndjson") => list.read_json(&text.text),
        _ if text.text.trim_start().starts_with('{') => list.read_json(&text.text),
        _ => list.read_lines(&text.text),
    }
    if list.prompts.is_empty() {
        let mut problem = Problem::new(
            "There is no prompt in this file",
            "Write one prompt per line, or a CSV with a column called prompt.",
        )
        .at(path);
        let notice = list.bad.into_notice("", path, "");
        problem.details = notice.map(|n| n.details).unwrap_or_default();
        return Err(problem);
    }
    let mut notices = Vec::new();
    if list.full {
        notices.push(
            Problem::new(
                format!("Only the first {MAX_PROMPTS} prompts are used"),
                "Split the list and run the parts one by one.",
            )
            .at(path),
        );
    }
    notices.extend(list.bad.into_notice(
        "of the prompt list need a look",
        path,
        "Correct these lines and open the list again; the other prompts are in use.",
    ));
    Ok((list.prompts, notices))
}

#[derive(Default)]
struct List {
    prompts: Vec<Prompt>,
    bad: Complaints,
    /// Rows seen, usable or not.
    rows: usize,
    full: bool,
}

impl List {
    fn read_table(&mut self, path: &Path, text: &str) -> Result<(), Problem> {
        let table = Delimited::parse(text, &TEXT_COLUMNS, MAX_PROMPTS + 1).map_err(|found| {
            let found: Vec<String> = found
                .iter()
                .take(20)
                .map(|name| name.chars().take(60).collect())
                .collect();
            Problem::new(
                "This table has no column of prompts",
                "Call the column Caption, prompt or text, or save the list as .txt with one prompt per line.",
            )
            .at(path)
            .detail(format!("line 1: columns found: {}", found.join(", ")))
        })?;
        let caption = tables::column(&table.headers, &TEXT_COLUMNS);
        let group = tables::column(&table.headers, &GROUP_COLUMNS);
        for row in &table.rows {
            let missing = table.headers.len().saturating_sub(row.cells.len());
            if table.headers.len() == 1 {
                // A one-column list is often not quoted: what looks like a delimiter belongs to the text.
                let whole = row
                    .cells
                    .join(char::from(table.delimiter).encode_utf8(&mut [0; 4]));
                self.add(row.line, Some(whole.trim()), None);
            } else if missing > 0
                && let Some(text) = cut_address(row, caption)
            {
                self.bad.add(
                    row.line,
                    "caption and address run together; the address was cut off",
                );
                // The row is one cell short from here on.
                let group = group
                    .filter(|g| caption.is_some_and(|c| c < *g))
                    .and_then(|g| g.checked_sub(missing));
                self.add(row.line, Some(text), row.cell(group));
            } else {
                if missing > 0 {
                    self.bad.add(
                        row.line,
                        format!("{} of {} columns", row.cells.len(), table.headers.len()),
                    );
                }
                self.add(row.line, row.cell(caption), row.cell(group));
            }
        }
        Ok(())
    }

    fn read_json(&mut self, text: &str) {
        for line in tables::json_lines(text) {
            match &line.object {
                Ok(object) => self.add(
                    line.line,
                    tables::text_of(object, &TEXT_COLUMNS),
                    tables::text_of(object, &GROUP_COLUMNS),
                ),
                Err(reason) => {
                    self.rows += 1;
                    self.bad.add(line.line, reason);
                }
            }
            if self.full {
                return;
            }
        }
    }

    fn read_lines(&mut self, text: &str) {
        for (at, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                self.add(at as u64 + 1, Some(line.trim()), None);
            }
            if self.full {
                return;
            }
        }
    }

    fn add(&mut self, line: u64, text: Option<&str>, group: Option<&str>) {
        let row = self.rows;
        self.rows += 1;
        let (Ok(index), true) = (u32::try_from(row), row < MAX_PROMPTS) else {
            self.full = true;
            return;
        };
        let Some(text) = text.filter(|t| !t.is_empty()) else {
            return self.bad.add(line, "no prompt");
        };
        if text.chars().nth(MAX_PROMPT_CHARS).is_some() {
            return self.bad.add(
                line,
                format!("longer than {MAX_PROMPT_CHARS} characters (an open quote?); left out"),
            );
        }
        self.prompts.push(Prompt {
            index,
            text: text.to_owned(),
            group: group.map(|g| g.chars().take(100).collect()),
        });
    }
}

/// The caption of a row that is too short because its address follows without a delimiter.
fn cut_address(row: &Row, caption: Option<usize>) -> Option<&str> {
    let cell = row.cell(caption)?;
    let at = cell.find("https://").or_else(|| cell.find("http://"))?;
    let mut text = cell[..at].trim();
    // The quote that should have closed the caption, unless it belongs to a quotation inside.
    if text.matches('"').count() % 2 == 1 {
        text = text.strip_suffix('"').unwrap_or(text).trim_end();
    }
    (!text.is_empty()).then_some(text)
}
