//! Getting weights: resumed where a former attempt ended, checked, and put in place whole or not at all.

use super::{
    catalog::{File, Model, megabytes},
    http::{Ask, Head, Part, send},
    partial::{Origin, Partial, hash_of},
};
use crate::study::Problem;
use crossbeam_channel::RecvTimeoutError;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Most bytes of a file whose size is not known.
const MOST_BYTES: u64 = 8 << 30;
/// Attempts in a row that bring nothing.
const ATTEMPTS: u32 = 5;
/// How often the wish to stop is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Left free on the disk.
const MARGIN: u64 = 64 << 20;

/// What to get, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// The weights.
    pub model: Model,
    /// The folder for the files; made when it is not there.
    pub folder: PathBuf,
    /// SHA-256 that the person names, for files without a pinned one.
    pub sha256: Option<String>,
    /// Take the files from `MIRROR/NAME/FILE` instead of their published addresses. What is pinned stays pinned.
    pub mirror: Option<String>,
    /// How long a silent server is waited for.
    pub patience: Duration,
    /// Pause before the second attempt; doubles from then on.
    pub pause: Duration,
}

impl Order {
    /// An order with the usual patience.
    pub fn new(model: &Model, folder: PathBuf) -> Self {
        Self {
            model: *model,
            folder,
            sha256: None,
            mirror: None,
            patience: Duration::from_secs(30),
            pause: Duration::from_secs(1),
        }
    }

    fn url(&self, file: &File) -> String {
        match &self.mirror {
            Some(base) => format!("{}/{}/{}", base.trim_end_matches('/'), self.model.name, file.name),
            None => file.url.to_owned(),
        }
    }

    fn wanted_hash(&self, file: &File) -> Option<String> {
        file.sha256
            .map(str::to_owned)
            .or_else(|| self.sha256.as_ref().map(|s| s.trim().to_lowercase()))
    }

    /// What a loader opens once everything is there.
    pub fn opened(&self) -> PathBuf {
        match self.model.files {
            [file] => self.folder.join(file.name),
            _ => self.folder.clone(),
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Bytes of all files that are there.
    pub done: u64,
    /// Bytes of all files, when known.
    pub total: Option<u64>,
    /// Time left at the speed of this session, once it can be told.
    pub left: Option<Duration>,
}

impl Progress {
    /// `12.0 MB of 176.0 MB, 1:05 left`.
    pub fn words(&self) -> String {
        let mut words = megabytes(self.done);
        if let Some(total) = self.total {
            words += &format!(" of {}", megabytes(total));
        }
        if let Some(left) = self.left {
            words += &format!(", {}:{:02} left", left.as_secs() / 60, left.as_secs() % 60);
        }
        words
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Everything is there and checked.
    Fetched(PathBuf),
    /// Everything was there before and is what it should be.
    There(PathBuf),
    /// Stopped as asked; what came is kept for the next time.
    Stopped,
}

/// Whether a text is a SHA-256 in hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Gets weights. Blocks; `stop` is asked at least every 50 ms while waiting, `tell` is called for every piece.
///
/// # Errors
/// When a file has no known SHA-256 and the order names none; when there is no room; when the server refuses, or sends
/// something of another size or hash (which is removed); when the connection stays lost (what came is kept).
pub fn fetch(
    order: &Order,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Progress),
) -> Result<Done, Problem> {
    let model = &order.model;
    for file in model.files {
        match order.wanted_hash(file) {
            None => return Err(unpinned(model, file)),
            Some(hash) if !is_sha256(&hash) => {
                return Err(
                    Problem::new("This is no SHA-256", "A SHA-256 has 64 hexadecimal digits.").detail(hash),
                );
            }
            Some(_) => {}
        }
    }
    fs::create_dir_all(&order.folder)
        .map_err(|e| Problem::io("The folder for weights cannot be made", &order.folder, &e))?;
    let mut meter = Meter {
        start: Instant::now(),
        before: 0,
        came: 0,
        total: model.bytes(),
        tell,
    };
    let mut fetched = false;
    for file in model.files {
        let target = order.folder.join(file.name);
        let hash = order.wanted_hash(file).unwrap_or_default();
        if is_whole(&target, file, &hash)? {
            meter.before += fs::metadata(&target).map_or(0, |m| m.len());
            meter.show();
            continue;
        }
        let one = One {
            order,
            file,
            url: order.url(file),
            hash,
            target,
        };
        if !one.get(stop, &mut meter)? {
            return Ok(Done::Stopped);
        }
        fetched = true;
    }
    let path = order.opened();
    Ok(if fetched {
        Done::Fetched(path)
    } else {
        Done::There(path)
    })
}

fn unpinned(model: &Model, file: &File) -> Problem {
    Problem::new(
        format!(
            "No published SHA-256 of {} is known, so what comes could not be checked",
            model.title
        ),
        "Name the SHA-256 you trust with --sha256 HEX; or fetch the file yourself and name it by its path.",
    )
    .detail(file.url)
}

/// Whether the file is there and is what it should be. One that is not is an error: it may be the person's own.
fn is_whole(target: &Path, file: &File, hash: &str) -> Result<bool, Problem> {
    if !target.exists() {
        return Ok(false);
    }
    let found = hash_of(target).map_err(|e| Problem::io("The weights cannot be read", target, &e))?;
    if found == hash {
        return Ok(true);
    }
    Err(Problem::new(
        "There is another file of this name already",
        "Move it away and fetch again, or open it by its path.",
    )
    .at(target)
    .detail(format!("its SHA-256 is {found}"))
    .detail(format!("that of {} is {hash}", file.name)))
}

/// Counts what comes.
struct Meter<'a> {
    start: Instant,
    /// Bytes that were there before this session.
    before: u64,
    /// Bytes that came in it.
    came: u64,
    total: Option<u64>,
    tell: &'a mut dyn FnMut(Progress),
}

impl Meter<'_> {
    fn show(&mut self) {
        let done = self.before + self.came;
        let took = self.start.elapsed();
        let left = self
            .total
            .filter(|_| self.came > 0 && took > Duration::from_millis(500))
            .map(|total| took.mul_f64(total.saturating_sub(done) as f64 / self.came as f64));
        (self.tell)(Progress {
            done,
            total: self.total,
            left,
        });
    }
}

/// One file of an order.
struct One<'a> {
    order: &'a Order,
    file: &'a File,
    url: String,
    hash: String,
    target: PathBuf,
}

/// How one connection ended.
enum Ended {
    Whole,
    Stopped,
    Broken(String),
    /// What is there is no beginning of what the server has.
    Anew,
}

impl One<'_> {
    /// Gets it; false when stopped.
    fn get(&self, stop: &dyn Fn() -> bool, meter: &mut Meter<'_>) -> Result<bool, Problem> {
        let mut partial = Partial::open(&self.target)?;
        let origin = partial.origin();
        let other = partial.bytes() > 0 && origin.url != self.url;
        if other || self.file.bytes.is_some_and(|all| partial.bytes() > all) {
            partial.clear()?;
        }
        meter.before += partial.bytes();
        // Getting on means more than there ever was: a server that sends the same beginning again and again does not.
        let (mut failures, mut anew, mut most) = (0, false, partial.bytes());
        loop {
            let reason = match self.connect(&mut partial, stop, meter)? {
                Ended::Whole => break,
                Ended::Stopped => return Ok(false),
                Ended::Anew if anew => "the server contradicts itself".to_owned(),
                Ended::Anew => {
                    anew = true;
                    meter.before = meter.before.saturating_sub(partial.bytes());
                    partial.clear()?;
                    continue;
                }
                Ended::Broken(reason) => reason,
            };
            failures = if partial.bytes() > most { 1 } else { failures + 1 };
            most = most.max(partial.bytes());
            if failures >= ATTEMPTS {
                return Err(self
                    .problem(
                        "The connection was lost",
                        "What came is kept: fetch again to go on.",
                    )
                    .detail(reason));
            }
            log::info!("{}: {reason}; attempt {}", self.url, failures + 1);
            if !pause(self.order.pause * (1 << (failures - 1)), stop) {
                return Ok(false);
            }
        }
        let found = partial.sha256();
        if found != self.hash {
            partial.discard();
            return Err(self
                .problem(
                    "What came is not what was expected, and was removed",
                    "The file was changed at its source, or on its way. Try again later; do not use it unchecked.",
                )
                .detail(format!("its SHA-256 is {found}"))
                .detail(format!("expected was  {}", self.hash)));
        }
        partial.finish(&self.target)?;
        Ok(true)
    }

    fn problem(&self, headline: &str, advice: &str) -> Problem {
        Problem::new(headline, advice).detail(self.url.clone())
    }

    fn connect(
        &self,
        partial: &mut Partial,
        stop: &dyn Fn() -> bool,
        meter: &mut Meter<'_>,
    ) -> Result<Ended, Problem> {
        if partial.bytes() > 0 && self.file.bytes == Some(partial.bytes()) {
            return Ok(Ended::Whole);
        }
        let parts = send(Ask {
            url: self.url.clone(),
            from: partial.bytes(),
            validator: partial.origin().validator,
            patience: self.order.patience,
        });
        let mut total = None;
        loop {
            if stop() {
                return Ok(Ended::Stopped);
            }
            let part = match parts.recv_timeout(LOOK) {
                Ok(part) => part,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => Part::Broken("no connection".to_owned()),
            };
            match part {
                Part::Head(head) => match self.begin(&head, partial, meter)? {
                    Ok(bytes) => total = bytes,
                    Err(ended) => return Ok(ended),
                },
                Part::Piece(piece) => {
                    let after = partial.bytes() + piece.len() as u64;
                    if after > self.file.bytes.or(total).unwrap_or(MOST_BYTES) {
                        return Ok(Ended::Anew);
                    }
                    partial.write(&piece)?;
                    meter.came += piece.len() as u64;
                    meter.show();
                }
                Part::End => {
                    return Ok(match self.file.bytes.or(total) {
                        Some(all) if partial.bytes() < all => {
                            Ended::Broken("the server ended early".to_owned())
                        }
                        _ => Ended::Whole,
                    });
                }
                Part::Broken(reason) => return Ok(Ended::Broken(reason)),
            }
        }
    }

    /// Looks at the head of an answer: bytes in all, or why its body is not read.
    fn begin(
        &self,
        head: &Head,
        partial: &mut Partial,
        meter: &mut Meter<'_>,
    ) -> Result<Result<Option<u64>, Ended>, Problem> {
        let total = match head.status {
            200 => {
                // The whole, because nothing was there, or it has changed, or the server knows no ranges.
                meter.before = meter.before.saturating_sub(partial.bytes());
                if partial.bytes() > 0 {
                    meter.came = 0;
                }
                partial.clear()?;
                head.length
            }
            206 => match head.range {
                Some((first, all)) if first == partial.bytes() => all,
                _ => return Ok(Err(Ended::Anew)),
            },
            416 => return Ok(Err(Ended::Anew)),
            404 | 410 => {
                return Err(self
                    .problem(
                        "The weights are not there any more",
                        "They may have moved: look at the source's page, or name a mirror with --mirror URL.",
                    )
                    .detail(format!("the server answers {}", head.status)));
            }
            401 | 403 => {
                return Err(self
                    .problem(
                        "The server does not give these weights away",
                        "Fetch the file by hand from the source's page and open it by its path.",
                    )
                    .detail(format!("the server answers {}", head.status)));
            }
            408 | 425 | 429 | 500..=599 => {
                return Ok(Err(Ended::Broken(format!("the server answers {}", head.status))));
            }
            other => {
                return Err(self
                    .problem(
                        "The server gives an answer that is not understood",
                        "Try again later.",
                    )
                    .detail(format!("the server answers {other}")));
            }
        };
        if let (Some(all), Some(expected)) = (total, self.file.bytes)
            && all != expected
        {
            return Err(self
                .problem(
                    "The file at the source has another size than the one that was checked",
                    "It was changed at its source. Nothing was fetched.",
                )
                .detail(format!("{all} bytes instead of {expected}")));
        }
        if total.is_some_and(|all| all > MOST_BYTES) {
            return Err(self.problem(
                "The file is larger than any known weights",
                "Nothing was fetched.",
            ));
        }
        self.room(total.unwrap_or(0).saturating_sub(partial.bytes()))?;
        partial.note(&Origin {
            url: self.url.clone(),
            validator: head.validator.clone(),
        })?;
        if meter.total.is_none() && self.order.model.files.len() == 1 {
            meter.total = total;
        }
        Ok(Ok(total))
    }

    /// Whether the disk has room for so many bytes more.
    fn room(&self, bytes: u64) -> Result<(), Problem> {
        let Ok(free) = fs4::available_space(&self.order.folder) else {
            return Ok(());
        };
        if free >= bytes.saturating_add(MARGIN) {
            return Ok(());
        }
        Err(Problem::new(
            "There is no room for the weights",
            "Free some space, or choose another disk with PENTIMENTO_DATA or --to FOLDER.",
        )
        .at(&self.order.folder)
        .detail(format!(
            "{} are needed, {} are free",
            megabytes(bytes + MARGIN),
            megabytes(free)
        )))
    }
}

/// Waits; false when stopped.
fn pause(time: Duration, stop: &dyn Fn() -> bool) -> bool {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if stop() {
            return false;
        }
        std::thread::sleep(LOOK.min(time));
    }
    !stop()
}
