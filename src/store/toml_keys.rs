//! Walking through a TOML text so that every complaint can name line and column.

use crate::study::Problem;
use std::{collections::BTreeMap, ops::Range, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Where complaints about one TOML file come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The file, for messages.
    pub path: &'a Path,
    /// Its text.
    pub text: &'a str,
}

impl Source<'_> {
    /// “line 3, column 9”, both from 1, columns in characters.
    pub(super) fn place(&self, span: &Range<usize>) -> String {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}")
    }

    /// A problem at a place of this file.
    pub(super) fn problem(&self, headline: &str, span: &Range<usize>, what: &str, advice: &str) -> Problem {
        Problem::new(headline, advice)
            .at(self.path)
            .detail(format!("{}: {what}", self.place(span)))
    }

    /// The problem of a text that is not TOML.
    pub(super) fn syntax(&self, headline: &str, error: &toml::de::Error) -> Problem {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().replace('\n', " ");
        self.problem(
            headline,
            &span,
            &message,
            "Correct this line; texts are written in double quotes.",
        )
    }
}

/// A value and where it stands.
pub(super) type Placed<T> = (T, Range<usize>);

/// A table whose keys are taken out one by one; what is left at the end is unknown.
pub(super) struct Keys<'a> {
    source: Source<'a>,
    headline: &'a str,
    /// Name for messages: empty for the file itself, else `[sampling]`.
    name: String,
    table: DeTable<'a>,
    /// Where the table stands.
    span: Range<usize>,
}

impl<'a> Keys<'a> {
    /// The whole file.
    pub(super) fn parse(source: Source<'a>, headline: &'a str) -> Result<Self, Problem> {
        let table = DeTable::parse(source.text).map_err(|e| source.syntax(headline, &e))?;
        Ok(Self {
            source,
            headline,
            name: String::new(),
            table: table.into_inner(),
            span: 0..0,
        })
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Problem {
        let what = format!("{key} is {}; {expected} is expected", kind(value.get_ref()));
        self.source.problem(
            self.headline,
            &value.span(),
            &what,
            "Correct this value and open the file again.",
        )
    }

    /// A problem with the value of a key that was taken out before.
    pub(super) fn refuse(&self, span: &Range<usize>, what: &str) -> Problem {
        self.source.problem(
            self.headline,
            span,
            what,
            "Correct this value and open the file again.",
        )
    }

    /// A problem with the table as a whole: something is not there.
    pub(super) fn lacks(&self, what: &str) -> Problem {
        self.refuse(&self.span, what)
    }

    /// A section; an absent one is empty.
    pub(super) fn section(&mut self, key: &str) -> Result<Self, Problem> {
        let mut place = 0..0;
        let table = match self.table.remove(key) {
            None => DeTable::new(),
            Some(value) => {
                let span = value.span();
                place = span.clone();
                match value.into_inner() {
                    DeValue::Table(table) => table,
                    other => {
                        return Err(self.wrong(
                            key,
                            &Spanned::new(span, other),
                            &format!("a section, written [{key}] on a line of its own,"),
                        ));
                    }
                }
            }
        };
        Ok(Self {
            source: self.source,
            headline: self.headline,
            name: key.to_owned(),
            table,
            span: place,
        })
    }

    /// Sections of one name, each written `[[key]]`, in their order.
    pub(super) fn sections(&mut self, key: &str) -> Result<Vec<Self>, Problem> {
        let Some(value) = self.table.remove(key) else {
            return Ok(Vec::new());
        };
        let expected = format!("sections, each written [[{key}]] on a line of its own,");
        let outer = value.span();
        let list = match value.into_inner() {
            DeValue::Array(list) => list,
            other => return Err(self.wrong(key, &Spanned::new(outer, other), &expected)),
        };
        let mut sections = Vec::new();
        for item in list {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => sections.push(Self {
                    source: self.source,
                    headline: self.headline,
                    name: format!("[{key}]"),
                    table,
                    span,
                }),
                other => return Err(self.wrong(key, &Spanned::new(span, other), &expected)),
            }
        }
        Ok(sections)
    }

    /// All keys of a table of texts, with the places of their values.
    pub(super) fn all_texts(mut self) -> Result<BTreeMap<String, Placed<String>>, Problem> {
        let keys: Vec<String> = self.table.keys().map(|key| key.get_ref().to_string()).collect();
        let mut texts = BTreeMap::new();
        for key in keys {
            if let Some(text) = self.text(&key)? {
                texts.insert(key, text);
            }
        }
        Ok(texts)
    }

    /// Whether a key is there and not taken out yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the key's value is a text.
    pub(super) fn is_text(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_str())
    }

    /// A list of whole numbers of at least 0.
    pub(super) fn wholes(&mut self, key: &str) -> Result<Option<Placed<Vec<u64>>>, Problem> {
        let Some(value) = self.table.remove(key) else {
            return Ok(None);
        };
        let expected = "a list of whole numbers";
        let DeValue::Array(list) = value.get_ref() else {
            return Err(self.wrong(key, &value, expected));
        };
        let mut numbers = Vec::with_capacity(list.len());
        for item in list {
            match whole(item.get_ref()) {
                Some(number) => numbers.push(number),
                None => return Err(self.wrong(key, item, expected)),
            }
        }
        Ok(Some((numbers, value.span())))
    }

    /// A text, with the place of its value.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<(String, Range<usize>)>, Problem> {
        let Some(value) = self.table.remove(key) else {
            return Ok(None);
        };
        match value.get_ref().as_str() {
            Some(text) => Ok(Some((text.to_owned(), value.span()))),
            None => Err(self.wrong(key, &value, "a text in quotes")),
        }
    }

    /// A whole number of at least 0.
    pub(super) fn whole(&mut self, key: &str) -> Result<Option<(u64, Range<usize>)>, Problem> {
        let Some(value) = self.table.remove(key) else {
            return Ok(None);
        };
        match whole(value.get_ref()) {
            Some(number) => Ok(Some((number, value.span()))),
            None => Err(self.wrong(key, &value, "a whole number")),
        }
    }

    /// A number.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<(f32, Range<usize>)>, Problem> {
        let Some(value) = self.table.remove(key) else {
            return Ok(None);
        };
        let number = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse::<f32>().ok(),
            // Whole numbers up to 2^24 are exact; larger ones are out of every range here.
            DeValue::Integer(_) => value
                .get_ref()
                .as_integer()
                .and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok().map(|i| i as f32)),
            _ => None,
        };
        match number.filter(|n| n.is_finite()) {
            Some(number) => Ok(Some((number, value.span()))),
            None => Err(self.wrong(key, &value, "a number")),
        }
    }

    /// Seeds as text (`"0..4"`), number or list of numbers, in the text form.
    pub(super) fn seeds(&mut self, key: &str) -> Result<Option<(String, Range<usize>)>, Problem> {
        let Some(value) = self.table.remove(key) else {
            return Ok(None);
        };
        let text = match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(_) => whole(value.get_ref()).map(|n| n.to_string()),
            DeValue::Array(list) => list
                .iter()
                .map(|item| whole(item.get_ref()).map(|n| n.to_string()))
                .collect::<Option<Vec<_>>>()
                .map(|numbers| numbers.join(",")),
            _ => None,
        };
        match text {
            Some(text) => Ok(Some((text, value.span()))),
            None => Err(self.wrong(
                key,
                &value,
                "a range such as \"0..4\", a number or a list of numbers",
            )),
        }
    }

    /// What was not taken out, as “line 3, column 1: …”; `known` are the keys there are.
    pub(super) fn unknown(&self, known: &str) -> Vec<String> {
        let section = if self.name.is_empty() {
            String::new()
        } else {
            format!(" in [{}]", self.name)
        };
        let mut left: Vec<_> = self.table.keys().collect();
        left.sort_by_key(|key| key.span().start);
        left.iter()
            .take(20)
            .map(|key| {
                let shown: String = key.get_ref().chars().take(60).collect();
                let place = self.source.place(&key.span());
                format!("{place}: “{shown}” is unknown{section}; known: {known}")
            })
            .collect()
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text “{}”", text.chars().take(40).collect::<String>()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}
