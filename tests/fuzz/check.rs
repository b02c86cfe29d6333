//! What looks for panics, hangs and memory finds them: the loop is run on readers that have these faults.

use super::readers::Reader;
use std::{process::Command, time::Duration};

/// The faulty reader that `PENTIMENTO_FUZZ_CHECK` names, in the place of all others.
pub fn stand_in() -> Option<Reader> {
    let fault = std::env::var("PENTIMENTO_FUZZ_CHECK").ok()?;
    let seed = b"whole".to_vec();
    Some(Reader {
        name: "stand-in",
        slow: 1,
        seeds: vec![seed.clone()],
        read: Box::new(move |_, bytes| {
            if bytes == seed {
                return;
            }
            match fault.as_str() {
                "panic" => panic!("a damaged file"),
                "hang" => std::thread::sleep(Duration::from_secs(600)),
                "memory" => drop(std::hint::black_box(vec![1_u8; 513 << 20])),
                "C memory" => c_memory(),
                _ => {}
            }
        }),
    })
}

/// Takes memory past the allocator that counts, as a library written in C does.
fn c_memory() {
    use std::alloc::{GlobalAlloc as _, Layout, System};
    let layout = Layout::array::<u8>(600 << 20).unwrap();
    // SAFETY: the layout is not empty; the memory is written within its bounds and given back as it was taken.
    unsafe {
        let memory = System.alloc(layout);
        if !memory.is_null() {
            memory.write_bytes(1, layout.size());
            std::hint::black_box(memory);
            System.dealloc(memory, layout);
        }
    }
}

#[test]
fn faults_are_found() {
    let run = |fault: &str| {
        let out = Command::new(std::env::current_exe().unwrap())
            .args([
                "work::no_reader_panics_hangs_or_takes_too_much_memory",
                "--exact",
                "--nocapture",
            ])
            .env("PENTIMENTO_FUZZ_CHECK", fault)
            .env("PENTIMENTO_FUZZ", "5")
            .env("PENTIMENTO_FUZZ_HANG", if fault == "hang" { "1" } else { "60" })
            .env_remove("PENTIMENTO_FUZZ_ONLY")
            .output()
            .unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (fine, said) = run("none");
    assert!(fine, "{said}");
    let mut faults = vec![
        ("panic", "panic “a damaged file”"),
        ("hang", "stand-in hangs"),
        ("memory", "513 MiB"),
    ];
    if cfg!(target_os = "linux") {
        faults.push(("C memory", "the process grew by"));
    }
    for (fault, words) in faults {
        let (fine, said) = run(fault);
        assert!(!fine && said.contains(words), "{fault}: {said}");
    }
}
