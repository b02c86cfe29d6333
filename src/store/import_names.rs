//! Which prompt and seed each of a folder's pictures belongs to.

use super::{
    image_names::parse_picture_name,
    import_pattern::{NameParts, NamePattern},
};
use crate::{
    study::{GenerationKey, Problem, Prompt},
    tables::{self, Complaints, Delimited},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
};

const MAX_BYTES: u64 = 1 << 30;
const MAX_ROWS: usize = 5_000_000;
const FILE_COLUMNS: [&str; 7] = [
    "file",
    "file name",
    "file_name",
    "generated image",
    "image",
    "picture",
    "name",
];
const TEXT_COLUMNS: [&str; 3] = ["caption", "prompt", "text"];
const INDEX_COLUMNS: [&str; 4] = ["prompt index", "prompt_index", "k", "index"];
const SEED_COLUMNS: [&str; 4] = ["seed", "sample", "sample index", "j"];

/// How a folder's file names are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImportNames {
    /// As the FB-Mem code and its relatives write them, see [`parse_picture_name`].
    #[default]
    FbMem,
    /// By a pattern, see [`NamePattern`].
    Pattern(String),
    /// Every file has a prompt of its own, named like the file.
    OnePerFile,
    /// As a table says: a column with file names, and of prompt, prompt index and seed what there is.
    Table(PathBuf),
}

impl ImportNames {
    /// In a few words, for `run.toml` and messages.
    pub fn words(&self) -> String {
        match self {
            Self::FbMem => "FB-Mem names".to_owned(),
            Self::Pattern(pattern) => format!("pattern {}", pattern.trim()),
            Self::OnePerFile => "one prompt per file".to_owned(),
            Self::Table(path) => format!("table {}", path.display()),
        }
    }

    /// Ready to be applied; reads the table. With what there is to tell about it.
    ///
    /// # Errors
    /// A pattern that cannot work, or a table that cannot be read.
    pub fn resolve(&self) -> Result<(NameReader, Vec<Problem>), Problem> {
        Ok(match self {
            Self::FbMem => (NameReader(Reader::FbMem), Vec::new()),
            Self::OnePerFile => (NameReader(Reader::OnePerFile), Vec::new()),
            Self::Pattern(text) => {
                let pattern = NamePattern::parse(text).map_err(|reason| {
                    Problem::new("This pattern cannot be used", "Write it like {prompt}_{seed}.")
                        .detail(reason)
                })?;
                (NameReader(Reader::Pattern(pattern)), Vec::new())
            }
            Self::Table(path) => {
                let (table, notices) = read_table(path)?;
                (NameReader(Reader::Table(table)), notices)
            }
        })
    }
}

/// Reads names one way.
#[derive(Clone, Debug)]
pub struct NameReader(Reader);

#[derive(Clone, Debug)]
enum Reader {
    FbMem,
    Pattern(NamePattern),
    OnePerFile,
    Table(HashMap<String, NameParts>),
}

/// Which prompt a name points at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pointer {
    Index(u32),
    /// Cluster runs count their prompts from 0 in every cluster.
    Cluster(u32, u32),
    Text(String),
    Own,
}

/// A picture's place in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPicture {
    /// Position in the list of files.
    pub file: usize,
    /// Prompt and seed.
    pub key: GenerationKey,
    /// The prompt's text.
    pub prompt: String,
}

/// What an import will do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportPlan {
    /// Pictures, by prompt and seed.
    pub pictures: Vec<PlannedPicture>,
    /// Prompts of the study that comes of it, by index.
    pub prompts: Vec<Prompt>,
    /// Files that are left out (positions), with the reason.
    pub skipped: Vec<(usize, String)>,
}

impl NameReader {
    fn read(&self, file: &str) -> Result<(Pointer, Option<u64>), String> {
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let pointer_of = |parts: NameParts| match (parts.prompt, parts.text) {
            (Some(index), _) => Some((Pointer::Index(index), parts.seed)),
            (None, Some(text)) => Some((Pointer::Text(text.trim().to_owned()), parts.seed)),
            (None, None) => None,
        };
        match &self.0 {
            Reader::FbMem => {
                // The endings of the reference are few; what a name says does not depend on them.
                let name = parse_picture_name(&format!("{stem}.png"))
                    .ok_or("the name does not say prompt and seed (img_0003_01.png)")?;
                let pointer = match name.cluster {
                    Some(cluster) => Pointer::Cluster(cluster, name.prompt),
                    None => Pointer::Index(name.prompt),
                };
                Ok((pointer, Some(name.sample)))
            }
            Reader::Pattern(pattern) => pattern
                .read(stem)
                .and_then(pointer_of)
                .ok_or_else(|| format!("the name does not fit {pattern}")),
            Reader::OnePerFile => Ok((Pointer::Own, Some(0))),
            Reader::Table(table) => table
                .get(file)
                .or_else(|| table.get(stem))
                .cloned()
                .and_then(pointer_of)
                .ok_or_else(|| "the table does not name it, or gives no prompt".to_owned()),
        }
    }

    /// Plans an import: which picture has which prompt and seed. `listed` are the prompts that numbers and texts may
    /// point at. Names without a seed are numbered within their prompt, in the order of the files; of two files with
    /// the same prompt and seed the second is left out.
    pub fn plan(&self, files: &[String], listed: &[Prompt]) -> ImportPlan {
        let mut plan = ImportPlan::default();
        let read: Vec<_> = files.iter().map(|file| self.read(file)).collect();
        let by_index: HashMap<u32, &Prompt> = listed.iter().map(|p| (p.index, p)).collect();
        let by_text: HashMap<&str, u32> = listed.iter().rev().map(|p| (p.text.trim(), p.index)).collect();
        let clusters: BTreeSet<(u32, u32)> = read
            .iter()
            .flatten()
            .filter_map(|(pointer, _)| match pointer {
                Pointer::Cluster(c, k) => Some((*c, *k)),
                _ => None,
            })
            .collect();
        let numbered = read.iter().flatten().filter_map(|(pointer, _)| match pointer {
            Pointer::Index(k) => Some(*k),
            _ => None,
        });
        // Own and new prompts come after all that have a number.
        let own_list = matches!(self.0, Reader::OnePerFile) || !clusters.is_empty();
        let mut next = if own_list {
            0
        } else {
            listed
                .iter()
                .map(|p| p.index)
                .chain(numbered)
                .max()
                .map_or(0, |m| m.saturating_add(1))
        };
        let mut new: HashMap<String, u32> = HashMap::new();
        let mut prompts: BTreeMap<u32, Prompt> = BTreeMap::new();
        let mut taken: HashMap<GenerationKey, usize> = HashMap::new();
        let mut wanting: Vec<(usize, u32)> = Vec::new();
        let mut points_at_list = false;
        for (file, said) in read.into_iter().enumerate() {
            let (pointer, seed) = match said {
                Ok(said) => said,
                Err(reason) => {
                    plan.skipped.push((file, reason));
                    continue;
                }
            };
            let (index, prompt) = match pointer {
                Pointer::Index(k) => {
                    let known = by_index.get(&k);
                    points_at_list |= known.is_some();
                    let prompt = known.map_or_else(|| made(k, format!("prompt {k}")), |p| (*p).clone());
                    (k, prompt)
                }
                Pointer::Cluster(c, k) => {
                    // At most one per file, so that the position fits.
                    let index = clusters.range(..(c, k)).count() as u32;
                    (index, made(index, format!("cluster {c}, prompt {k}")))
                }
                Pointer::Text(text) => match by_text.get(text.as_str()) {
                    Some(&known) => {
                        points_at_list = true;
                        (known, by_index[&known].clone())
                    }
                    None => {
                        let index = *new.entry(text.clone()).or_insert_with(|| {
                            next += 1;
                            next - 1
                        });
                        (index, made(index, text))
                    }
                },
                Pointer::Own => {
                    next += 1;
                    let stem = files[file]
                        .rsplit_once('.')
                        .map_or(files[file].as_str(), |(s, _)| s);
                    (next - 1, made(next - 1, stem.to_owned()))
                }
            };
            prompts.entry(index).or_insert(prompt);
            let Some(seed) = seed else {
                wanting.push((file, index));
                continue;
            };
            let key = GenerationKey { prompt: index, seed };
            if let Some(&other) = taken.get(&key) {
                plan.skipped
                    .push((file, format!("same prompt and seed as {}", files[other])));
                continue;
            }
            taken.insert(key, file);
        }
        let mut free: HashMap<u32, u64> = HashMap::new();
        for (file, index) in wanting {
            let seed = free.entry(index).or_insert(0);
            while taken.contains_key(&GenerationKey {
                prompt: index,
                seed: *seed,
            }) {
                *seed += 1;
            }
            taken.insert(
                GenerationKey {
                    prompt: index,
                    seed: *seed,
                },
                file,
            );
        }
        plan.pictures = taken
            .into_iter()
            .map(|(key, file)| PlannedPicture {
                file,
                key,
                prompt: prompts[&key.prompt].text.clone(),
            })
            .collect();
        plan.pictures.sort_by_key(|p| p.key);
        plan.skipped.sort_unstable_by_key(|s| s.0);
        if points_at_list {
            for prompt in listed {
                prompts.entry(prompt.index).or_insert_with(|| prompt.clone());
            }
        }
        plan.prompts = prompts.into_values().collect();
        plan
    }
}

fn made(index: u32, text: String) -> Prompt {
    Prompt {
        index,
        text,
        group: None,
    }
}

/// Share of the names that are FB-Mem's, over those of image files; for telling such a folder from a gallery.
pub fn fb_mem_names(files: &[String]) -> usize {
    let distinct: HashSet<&String> = files.iter().collect();
    distinct
        .iter()
        .filter(|f| parse_picture_name(f).is_some())
        .count()
}

fn read_table(path: &Path) -> Result<(HashMap<String, NameParts>, Vec<Problem>), Problem> {
    let text = tables::read_text(path, MAX_BYTES)?;
    let no_columns = |found: &[String]| {
        let shown: Vec<String> = found
            .iter()
            .take(20)
            .map(|f| f.chars().take(60).collect())
            .collect();
        Problem::new(
            "This table does not say which picture has which prompt",
            "It needs a column file, and prompt (the text) or prompt index; seed is optional.",
        )
        .at(path)
        .detail(format!("line 1: columns found: {}", shown.join(", ")))
    };
    let table = Delimited::parse(&text.text, &FILE_COLUMNS, MAX_ROWS).map_err(|found| no_columns(&found))?;
    let find = |names: &[&str]| tables::column(&table.headers, names);
    let file = find(&FILE_COLUMNS);
    let (prompt, index, seed) = (find(&TEXT_COLUMNS), find(&INDEX_COLUMNS), find(&SEED_COLUMNS));
    if prompt.is_none() && index.is_none() {
        return Err(no_columns(&table.headers));
    }
    let mut bad = Complaints::default();
    let mut found = HashMap::new();
    for row in &table.rows {
        let Some(name) = row.cell(file) else {
            bad.add(row.line, "no file is named; left out");
            continue;
        };
        // A path may stand there; the name decides.
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned();
        let number = |column: Option<usize>| row.cell(column).map(str::parse::<u64>).transpose();
        let (Ok(index), Ok(seed)) = (number(index), number(seed)) else {
            bad.add(row.line, "prompt index or seed is not a whole number; left out");
            continue;
        };
        let parts = NameParts {
            prompt: index.and_then(|i| u32::try_from(i).ok()),
            text: row.cell(prompt).map(str::to_owned),
            seed,
        };
        if parts.prompt.is_none() && parts.text.is_none() {
            bad.add(row.line, "no prompt; left out");
        } else if found.insert(name, parts).is_some() {
            bad.add(row.line, "the file is named twice; the later line counts");
        }
    }
    let notice = bad.into_notice(
        "of the table need a look",
        path,
        "The other lines are in use; correct these and import again.",
    );
    Ok((found, notice.into_iter().collect()))
}
