//! The user guide says what is true: its commands are understood, its messages exist, unsafe code is where it says.

use clap::Parser;
use pentimento::cli::Cli;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Words of a line as a shell takes them, as far as the guide needs it.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|w| !w.is_empty());
    // Of alternatives the first.
    let first = |w: String| w.split('|').next().unwrap_or_default().to_owned();
    words.into_iter().map(first).collect()
}

#[test]
fn every_command_in_the_guide_is_understood() {
    let mut count = 0;
    for file in files(&root().join("docs"), "md")
        .iter()
        .chain([&root().join("README.md")])
    {
        let text = fs::read_to_string(file).unwrap();
        let blocks = text
            .split("```sh\n")
            .skip(1)
            .map(|b| b.split("```").next().unwrap());
        for line in blocks
            .flat_map(str::lines)
            .filter(|l| l.starts_with("pentimento"))
        {
            // Comments and optional parts in brackets are for people.
            let line = line
                .split(" #")
                .next()
                .unwrap()
                .replace(['[', ']'], "")
                .replace("“", "\"");
            let parsed = Cli::try_parse_from(words(&line));
            assert!(
                parsed.is_ok(),
                "{}: {line}\n{}",
                file.display(),
                parsed.unwrap_err()
            );
            count += 1;
        }
    }
    assert!(count > 15, "only {count} commands were found");
}

#[test]
fn every_message_in_the_troubleshooting_page_exists() {
    let source: String = files(&root().join("src"), "rs")
        .iter()
        .map(|f| fs::read_to_string(f).unwrap())
        .collect();
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let headings: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    assert!(headings.len() > 10);
    for heading in headings {
        assert!(source.contains(heading), "no message says “{heading}”");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for file in files(&root().join("docs"), "md") {
        let text = fs::read_to_string(&file).unwrap();
        for after in text.split("](").skip(1) {
            let target = after.split(')').next().unwrap();
            if !target.starts_with("http") {
                assert!(
                    file.parent().unwrap().join(target).exists(),
                    "{}: {target}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn unsafe_code_is_where_the_architecture_says() {
    let allowed = "#![allow(unsafe_code,reason=";
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut modules = 0;
    for file in files(&root().join("src"), "rs") {
        // Attributes lie on one line or on several.
        let text: String = fs::read_to_string(&file).unwrap().split_whitespace().collect();
        let name = file
            .strip_prefix(root().join("src"))
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        if text.contains(allowed) {
            assert!(
                architecture.contains(&format!("`{name}`")),
                "ARCHITECTURE.md does not list {name}"
            );
            modules += 1;
        } else {
            assert!(
                !text.contains("allow(unsafe_code"),
                "{name} allows unsafe code without a reason at its top"
            );
        }
    }
    assert!(modules > 5);
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(lib.contains("#![deny(unsafe_code)]"));
}
