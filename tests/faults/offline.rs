//! No network unless it is asked for.

use super::scan::Bench;
use std::{fs, time::Duration};

#[test]
fn a_scan_opens_no_socket() {
    let trial = Bench::get().trial("offline");
    let mut child = trial.start(None);
    let open = format!("/proc/{}/fd", child.id());
    // Seen from outside, all the while it runs.
    while child.try_wait().unwrap().is_none() {
        for entry in fs::read_dir(&open).into_iter().flatten().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            assert!(
                !target.to_string_lossy().starts_with("socket:"),
                "{}",
                target.display()
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    // And from inside: not even one that was closed again.
    let sockets: Vec<_> = trial
        .log()
        .into_iter()
        .filter(|l| l.starts_with("socket"))
        .collect();
    assert_eq!(sockets, Vec::<String>::new());
    trial.clean();
}
