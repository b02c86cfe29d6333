//! Progress on standard error: one line, rewritten in place on a terminal, sparse lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// The progress line.
pub struct Console {
    quiet: bool,
    terminal: bool,
    last: Option<Instant>,
}

impl Console {
    /// A line; `quiet` prints nothing.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            last: None,
        }
    }

    /// Shows `done` of `total`, with the time left if it is known.
    pub fn progress(&mut self, what: &str, done: usize, total: usize, left: Option<Duration>) {
        let pause = if self.terminal {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(5)
        };
        let due = self.last.is_none_or(|t| t.elapsed() >= pause) || done == total;
        if self.quiet || !due {
            return;
        }
        self.last = Some(Instant::now());
        let left = left.map(|d| format!(" · {} left", clock(d))).unwrap_or_default();
        let mut err = std::io::stderr().lock();
        // Standard error that is gone is no reason to stop the work.
        if self.terminal {
            write!(err, "\r\x1b[K{what} {done} / {total}{left}").ok();
        } else {
            writeln!(err, "{what} {done} / {total}{left}").ok();
        }
        err.flush().ok();
    }

    /// Ends the rewritten line, so that other output starts on its own.
    pub fn end(&mut self) {
        if self.terminal && self.last.take().is_some() && !self.quiet {
            eprintln!();
        }
    }
}

/// `0:41`, `12:05`, `3:00:10`.
fn clock(duration: Duration) -> String {
    let s = duration.as_secs();
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_a_clock() {
        assert_eq!(clock(Duration::from_secs(41)), "0:41");
        assert_eq!(clock(Duration::from_secs(725)), "12:05");
        assert_eq!(clock(Duration::from_secs(10_810)), "3:00:10");
    }
}
