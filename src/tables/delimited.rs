//! CSV whose delimiter, quoting and column order are not known in advance.

/// A table read from delimited text.
#[derive(Clone, Debug)]
pub struct Delimited {
    /// Column names of the first line, trimmed.
    pub headers: Vec<String>,
    /// The delimiter that was found.
    pub delimiter: u8,
    /// All further rows; blank lines are no rows.
    pub rows: Vec<Row>,
}

/// One row of a [`Delimited`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line the row starts on, from 1.
    pub line: u64,
    /// Its cells; there may be fewer or more than headers.
    pub cells: Vec<String>,
}

impl Row {
    /// Trimmed text of a column; `None` when the row is too short or the cell is blank.
    pub fn cell(&self, column: Option<usize>) -> Option<&str> {
        self.cells
            .get(column?)
            .map(|c| c.trim())
            .filter(|c| !c.is_empty())
    }
}

/// Position of the first of `names` that is a column, without regard to case.
pub fn column(headers: &[String], names: &[&str]) -> Option<usize> {
    names
        .iter()
        .find_map(|name| headers.iter().position(|h| h.eq_ignore_ascii_case(name)))
}

impl Delimited {
    /// Reads at most `most` rows. The delimiter is the one of `,` `;` and tab with which the first line
    /// contains one of the `wanted` columns; among several, the one that gives more columns.
    ///
    /// # Errors
    /// The first line's columns, when none of the wanted ones is among them.
    pub fn parse(text: &str, wanted: &[&str], most: usize) -> Result<Self, Vec<String>> {
        let candidates = [b',', b';', b'\t'].map(|delimiter| (delimiter, headers(text, delimiter)));
        let best = candidates
            .iter()
            .filter(|(_, headers)| column(headers, wanted).is_some())
            .max_by_key(|(_, headers)| headers.len());
        let Some((delimiter, headers)) = best else {
            // Show the reading that found most columns, so that the message makes sense to a person.
            let [a, b, c] = candidates.map(|(_, headers)| headers);
            return Err([a, b, c].into_iter().max_by_key(Vec::len).unwrap_or_default());
        };
        Ok(Self {
            headers: headers.clone(),
            delimiter: *delimiter,
            rows: records(text, *delimiter).skip(1).take(most).collect(),
        })
    }
}

fn headers(text: &str, delimiter: u8) -> Vec<String> {
    records(text, delimiter)
        .next()
        .map(|row| row.cells.iter().map(|c| c.trim().to_owned()).collect())
        .unwrap_or_default()
}

/// Rows of a text in memory: reading cannot fail, since lengths are free and the text is UTF-8.
fn records(text: &str, delimiter: u8) -> impl Iterator<Item = Row> {
    let bytes = text.as_bytes();
    let (mut line, mut counted) = (1, 0);
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(bytes)
        .into_records()
        .map_while(Result::ok)
        .map(move |record| {
            // The reader's own line number stays behind after CRLF and blank lines, and its position is
            // before them.
            let at = record.position().map_or(0, csv::Position::byte);
            let mut start = usize::try_from(at).unwrap_or(bytes.len()).min(bytes.len());
            while bytes.get(start).is_some_and(|b| matches!(b, b'\r' | b'\n')) {
                start += 1;
            }
            line += bytes
                .get(counted..start)
                .unwrap_or_default()
                .iter()
                .filter(|&&b| b == b'\n')
                .count() as u64;
            counted = start.max(counted);
            Row {
                line,
                cells: record.iter().map(str::to_owned).collect(),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found_by_the_columns_it_gives() {
        let t = Delimited::parse(
            "\u{20};Caption;URL\r\n0;\"a; \"\"b\"\", c\";x\r\n",
            &["caption"],
            9,
        )
        .unwrap();
        assert_eq!(t.delimiter, b';');
        assert_eq!(t.rows.len(), 1);
        assert_eq!(t.rows[0].cells[1], "a; \"b\", c");
        let t = Delimited::parse("prompt\nred, green; blue\n", &["prompt"], 9).unwrap();
        assert_eq!(t.headers, ["prompt"]);
        // Only commas split a line of the one-column file; the cells stay reachable.
        assert_eq!(t.rows[0].line, 2);
        assert_eq!(
            Delimited::parse("a;b;c\n1;2;3", &["prompt"], 9).unwrap_err(),
            ["a", "b", "c"]
        );
        assert!(Delimited::parse("", &["prompt"], 9).unwrap_err().is_empty());
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        let lines = |text: &str| -> Vec<u64> {
            Delimited::parse(text, &["a"], 9)
                .unwrap()
                .rows
                .iter()
                .map(|r| r.line)
                .collect()
        };
        assert_eq!(lines("a,b\n1,2\n3,4"), [2, 3]);
        assert_eq!(lines("a,b\r\n1,2\r\n\r\n3,4\r\n"), [2, 4]);
        assert_eq!(lines("\n\na,b\n\"1\nx\",2\n3,4\n"), [4, 6]);
    }

    #[test]
    fn an_open_quote_ends_with_the_text() {
        let t = Delimited::parse("prompt\n\"never closed\nmore\n", &["prompt"], 9).unwrap();
        assert_eq!(t.rows.len(), 1);
        assert!(t.rows[0].cells[0].contains("more"));
    }
}
