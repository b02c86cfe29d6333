//! Kills at random instants: from outside at a random time, and from inside before, during and after a random file
//! operation.

use super::scan::{Bench, Ended};
use std::time::{Duration, Instant};

/// Kills in the short form; `PENTIMENTO_KILLS` asks for another number.
const SHORT: usize = 6;

/// The splitmix64 generator: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn number(name: &str, or: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(or)
}

#[test]
fn a_killed_scan_goes_on_to_the_same_bytes() {
    let bench = Bench::get();
    let kills = number("PENTIMENTO_KILLS", SHORT);
    let seed = number("PENTIMENTO_KILLS_SEED", 1);
    let mut dice = Dice(seed as u64);
    let start = Instant::now();
    let (mut outside, mut inside, mut too_late, mut again, mut trials) = (0, 0, 0, 0, 0);
    let mut recorded = [0_usize; super::scan::PICTURES + 1];
    while outside + inside < kills {
        let trial = bench.trial(&format!("kill-{trials}"));
        trials += 1;
        // The resumed scan is sometimes killed as well.
        let mut interruptions = 0;
        for _ in 0..1 + dice.below(3).saturating_sub(1) {
            let (what, ended) = interrupt(bench, &trial, &mut dice, trials % 2 == 0);
            if !ended.killed() {
                ended.expect_success();
                too_late += 1;
                break;
            }
            interruptions += 1;
            *if trials % 2 == 0 {
                &mut inside
            } else {
                &mut outside
            } += 1;
            let context = format!("seed {seed}, trial {trials}, {what}");
            recorded[trial.check_interrupted(&context)] += 1;
        }
        trial.scan(None).expect_success();
        again += trial.check_whole(interruptions, &format!("seed {seed}, trial {trials}"));
        trial.clean();
    }
    println!(
        "{} kills in {trials} runs of {} pictures ({outside} at random times, {inside} inside file operations; {too_late} \
         came after the end): every resumed run equals the uninterrupted one byte for byte; {again} pictures were made \
         again, never more than one for a kill; finished pictures at the kill, 0 to {}: {recorded:?}; {:.0} s",
        outside + inside,
        super::scan::PICTURES,
        super::scan::PICTURES,
        start.elapsed().as_secs_f64()
    );
}

fn interrupt(
    bench: &Bench,
    trial: &super::scan::Trial<'_>,
    dice: &mut Dice,
    inside: bool,
) -> (String, Ended) {
    if inside {
        let operation = ["any", "any", "fsync", "rename", "write"][dice.below(5)];
        // About a third of all operations are writes, a third fsyncs, a sixth renames.
        let most = match operation {
            "any" => bench.operations,
            "rename" => bench.operations / 6,
            _ => bench.operations / 4,
        };
        let action = ["kill-before", "kill-half", "kill-after"][dice.below(3)];
        let fault = format!("{operation}:{}:{action}", 1 + dice.below(most));
        let ended = trial.scan(Some(&fault));
        (fault, ended)
    } else {
        // The first quarter goes into reading the model, before anything is written.
        let after = bench.took.mul_f64(0.25 + 0.75 * dice.below(1000) as f64 / 1000.0);
        (format!("killed after {after:?}"), trial.scan_and_kill(after))
    }
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let bench = Bench::get();
    let trial = bench.trial("lock");
    // Stops before the second picture is put in place, and stays there holding the lock.
    let mut first = trial.start(Some("rename:4:stop"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while trial.log().iter().filter(|l| l.starts_with("rename")).count() < 4 {
        assert!(Instant::now() < deadline, "the first scan did not get there");
        std::thread::sleep(Duration::from_millis(20));
    }
    let second = trial.scan(None);
    assert_eq!(second.0.status.code(), Some(1), "{}", second.said());
    assert!(
        second.said().contains("Another process is writing this run"),
        "{}",
        second.said()
    );
    first.kill().unwrap();
    first.wait().unwrap();
    trial.check_interrupted("lock");
    trial.scan(None).expect_success();
    trial.check_whole(1, "lock");
    trial.clean();
}
