//! Time left, from the pace so far.

use std::time::{Duration, Instant};

/// Estimates the time left of work in equal units. The clock starts with the first unit, so that
/// loading a model does not count as pace.
#[derive(Debug)]
pub struct Eta {
    total: f64,
    start: Option<(Instant, f64)>,
}

impl Eta {
    /// For `total` units of work.
    pub fn new(total: f64) -> Self {
        Self { total, start: None }
    }

    /// Time left after `done` units (fractions allowed); `None` until there is a pace to go by.
    pub fn left(&mut self, done: f64) -> Option<Duration> {
        self.left_at(done, Instant::now())
    }

    fn left_at(&mut self, done: f64, now: Instant) -> Option<Duration> {
        let (start, first) = *self.start.get_or_insert((now, done));
        let gained = done - first;
        let spent = now.saturating_duration_since(start).as_secs_f64();
        if gained <= 0.0 || spent < 0.05 {
            return None;
        }
        let left = (self.total - done).max(0.0) * spent / gained;
        Duration::try_from_secs_f64(left).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_measured_from_the_first_unit() {
        let mut eta = Eta::new(10.0);
        let start = Instant::now();
        assert_eq!(eta.left_at(0.0, start), None);
        assert_eq!(
            eta.left_at(2.0, start + Duration::from_secs(4)),
            Some(Duration::from_secs(16))
        );
        assert_eq!(
            eta.left_at(10.0, start + Duration::from_secs(20)),
            Some(Duration::ZERO)
        );
    }
}
