//! `pentimento compare`: did the mitigation work, at the same prompts and seeds?
//!
//! With `--json`, one object:
//!
//! | key | what |
//! |---|---|
//! | `format` | 1; a higher number when keys change their meaning |
//! | `a`, `b` | `folder`, `study`, `model`, `gallery`, `arithmetic`, `sampling`, `variant` (`name`, `hash`, or null) and, when `--variant` names its file, `touched` |
//! | `warnings` | sentences: what differs between the runs besides the variant, files that could not be read |
//! | `missing` | sentences: what could not be measured and why |
//! | `ruined` | a sentence when B's pictures are no longer ordinary pictures, else null |
//! | `clusters` | of a variant with clusters: one [`ClusterRow`](super::compare_clusters::ClusterRow) for each |
//! | the rest | the fields of [`Comparison`], under their names; a [`GenerationKey`](crate::study::GenerationKey) is `{"prompt", "seed"}` |

use super::{
    args::{Common, CompareArgs},
    compare_clusters,
};
use crate::{
    engine::Likeness,
    gallery::decode_rgb,
    memorization::comparison::{
        Comparison, Estimate, PictureDistance, PictureSummary, SketchDistance, Subject, compare,
    },
    store::{Run, RunParameters, read_variant},
    study::{Problem, Touched, Verdict},
};
use rayon::prelude::*;
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// Compares two runs and prints what came out.
pub fn run(args: &CompareArgs, common: &Common) -> Result<(), Problem> {
    let (a, b) = (Run::open_read(&args.run_a)?, Run::open_read(&args.run_b)?);
    let mut warnings: Vec<String> = a
        .notices()
        .iter()
        .chain(b.notices())
        .map(Problem::to_string)
        .collect();
    warnings.extend(differences(a.parameters(), b.parameters(), &args.run_b)?);
    let touched = args
        .variant
        .as_deref()
        .map(|file| touched(file, b.parameters(), &mut warnings))
        .transpose()?;
    let pool = crate::engine::compute_pool(common.threads)
        .map_err(|e| super::failed("Threads cannot be started", &e))?;
    let likeness = Likeness::open(args.embedder.as_deref(), args.clip.as_deref())
        .map_err(|e| super::failed("These weights cannot be used", &e))?;
    let (subjects_a, subjects_b) = pool.install(|| {
        (
            subjects(&a, &likeness, &mut warnings),
            subjects(&b, &likeness, &mut warnings),
        )
    });
    let thresholds = args.thresholds.map_or(a.parameters().thresholds, |t| t.0);
    let embeddings = likeness.distance();
    let distance: &dyn PictureDistance = embeddings.as_ref().map_or(&SketchDistance, |d| d);
    let comparison = compare(
        &subjects_a,
        &subjects_b,
        thresholds,
        args.bootstrap.settings(),
        distance,
    );
    if comparison.joined.pictures == 0 {
        return Err(Problem::new(
            "The runs have no picture in common",
            "Draw the same prompts and seeds in both runs.",
        )
        .at(&args.run_b)
        .detail(format!(
            "{} pictures in A only, {} in B only, {} with the same number but another prompt",
            comparison.joined.only_a.len(),
            comparison.joined.only_b.len(),
            comparison.joined.other_text.len()
        )));
    }
    for warning in &warnings {
        eprintln!("pentimento: {warning}");
    }
    let missing = missing(&comparison, args, touched.is_some());
    let clusters = compare_clusters::rows(&a, &b, &comparison);
    if args.json {
        let side = |run: &Run, touched: Option<&Touched>| {
            let p = run.parameters();
            serde_json::json!({
                "folder": run.folder(),
                "study": p.study,
                "model": p.model,
                "gallery": p.gallery,
                "arithmetic": p.arithmetic,
                "sampling": p.sampling,
                "variant": p.variant,
                "touched": touched,
            })
        };
        let mut json = serde_json::to_value(&comparison)
            .map_err(|e| super::failed("The comparison cannot be written as JSON", &e))?;
        json["format"] = 1.into();
        json["a"] = side(&a, None);
        json["b"] = side(&b, touched.as_ref());
        json["warnings"] = warnings.into();
        json["missing"] = missing.into();
        json["clusters"] = serde_json::json!(clusters);
        json["ruined"] = comparison.ruined().into();
        println!("{json:#}");
    } else {
        print!("{}", table(&a, &b, &comparison, touched.as_ref(), &missing));
        print!("{}", compare_clusters::table(&clusters));
    }
    Ok(())
}

/// What differs besides the variant, one warning each.
fn differences(a: &RunParameters, b: &RunParameters, at: &Path) -> Result<Vec<String>, Problem> {
    if a.arithmetic != b.arithmetic {
        return Err(Problem::new(
            "The runs were scored with different arithmetics",
            "Their scores cannot be compared: run one of them again with the arithmetic of the other.",
        )
        .at(at)
        .detail(format!("A has {}, B has {}", a.arithmetic, b.arithmetic)));
    }
    let mut alike = b.clone();
    alike.variant.clone_from(&a.variant);
    Ok(a.differences(&alike)
        .into_iter()
        .map(|line| {
            let line = line.replace("the run has", "A has").replace("now it is", "B has");
            format!("the runs differ in more than the variant: {line}")
        })
        .collect())
}

/// What the variant's file touches, when it is the variant of run B.
fn touched(file: &Path, b: &RunParameters, warnings: &mut Vec<String>) -> Result<Touched, Problem> {
    let variant = read_variant(file)?;
    let id = variant.id();
    if b.variant.as_ref().is_none_or(|v| v.hash != id.hash) {
        let drawn = b
            .variant
            .as_ref()
            .map_or("no variant".to_owned(), |v| v.to_string());
        warnings.push(format!(
            "{} holds {id}, run B was drawn with {drawn}",
            file.display()
        ));
    }
    Ok(variant.touched())
}

/// The pictures of a run. One that cannot be read is compared by its scores alone, with a warning.
fn subjects(run: &Run, likeness: &Likeness, warnings: &mut Vec<String>) -> Vec<Subject> {
    let prompts: BTreeSet<&str> = run.records().iter().map(|r| r.prompt.as_str()).collect();
    let prompts: Vec<String> = prompts.into_iter().map(str::to_owned).collect();
    let read: Vec<(Subject, Vec<String>)> = run
        .records()
        .par_iter()
        .map(|record| {
            let file = run.folder().join(&record.image);
            let mut trouble = Vec::new();
            let mut told = |e: &dyn std::fmt::Display| trouble.push(format!("{}: {e}", file.display()));
            let (mut picture, mut clip) = (None, None);
            match decode_rgb(&file) {
                Err(e) => told(&e),
                Ok(image) => {
                    let mut summary = PictureSummary::of(&image);
                    match likeness.embed(&image) {
                        Ok(vector) => summary.embedding = vector.unwrap_or_default(),
                        Err(e) => told(&e),
                    }
                    match likeness.clip(&image, &record.prompt, &prompts) {
                        Ok(scores) => clip = scores,
                        Err(e) => told(&e),
                    }
                    picture = Some(Arc::new(summary));
                }
            }
            let subject = Subject {
                key: record.key,
                prompt: record.prompt.clone(),
                scores: record.matches.first().map(|m| m.scores),
                seconds: run.seconds(&record.key),
                clip,
                picture,
            };
            (subject, trouble)
        })
        .collect();
    read.into_iter()
        .map(|(subject, trouble)| {
            warnings.extend(trouble);
            subject
        })
        .collect()
}

/// What the comparison does not say, and why.
fn missing(c: &Comparison, args: &CompareArgs, touched: bool) -> Vec<String> {
    let mut missing = Vec::new();
    if c.alignment.is_none() {
        missing.push(match args.clip {
            None => "prompt alignment: it needs CLIP weights, name their folder with --clip".to_owned(),
            Some(_) => "prompt alignment: no picture could be scored in both runs".to_owned(),
        });
    }
    if args.embedder.is_none() {
        missing.push("likeness by SSCD or another embedder: name weights with --embedder".to_owned());
    }
    if c.quality.is_none() {
        missing.push("picture quality: the pictures could not be read".to_owned());
    }
    if c.diversity.is_none() {
        missing.push("diversity: no prompt has two seeds in both runs".to_owned());
    }
    if c.joined.unclassed > 0 {
        missing.push(format!(
            "classes of {} pictures: not compared with a gallery",
            c.joined.unclassed
        ));
    }
    if c.joined.prompts < 2 {
        missing.push("intervals: they need two prompts or more".to_owned());
    }
    if !touched {
        missing.push("neurons and weights touched: name the variant's file with --variant".to_owned());
    }
    missing
}

fn table(a: &Run, b: &Run, c: &Comparison, touched: Option<&Touched>, missing: &[String]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let measure = c.diversity.as_ref().map(|d| d.measure.as_str());
    let name = |run: &Run| {
        let variant = run.parameters().variant.as_ref();
        variant.map_or("the checkpoint as it is".to_owned(), |v| v.to_string())
    };
    // Writing into a String does not fail.
    let mut say = |line: String| writeln!(out, "{line}").unwrap_or_default();
    say(format!("A  {}  {}", a.folder().display(), name(a)));
    say(format!("B  {}  {}", b.folder().display(), name(b)));
    let j = &c.joined;
    say(format!(
        "{} pictures in both: {} prompts, {} seeds; {} arithmetic, thresholds F {:.3}, B {:.3}",
        j.pictures,
        j.prompts,
        j.seeds,
        a.parameters().arithmetic,
        c.thresholds.foreground,
        c.thresholds.background
    ));
    for (words, keys) in [
        ("in A only", &j.only_a),
        ("in B only", &j.only_b),
        ("with another prompt", &j.other_text),
    ] {
        if !keys.is_empty() {
            let some: Vec<String> = keys.iter().take(8).map(ToString::to_string).collect();
            let more = if keys.len() > 8 { ", …" } else { "" };
            say(format!("{} {words}: {}{more}", keys.len(), some.join(", ")));
        }
    }
    if let Some(reason) = c.ruined() {
        say(format!(
            "\nB looks RUINED: {reason}. Fewer copies say nothing here."
        ));
    }
    say(format!(
        "\n{:<22} {:>6} {:>6} {:>6} {:>6} {:>8}",
        "A \\ B", "VM", "FM", "BM", "NM", "all"
    ));
    for before in Verdict::ALL {
        let cells: Vec<String> = Verdict::ALL
            .iter()
            .map(|&after| format!("{:>6}", c.transitions.count(before, after)))
            .collect();
        say(format!(
            "{:<22} {} {:>8}",
            before.letters(),
            cells.join(" "),
            c.transitions.before(before)
        ));
    }
    let after: Vec<String> = Verdict::ALL
        .iter()
        .map(|&v| format!("{:>6}", c.transitions.after(v)))
        .collect();
    say(format!(
        "{:<22} {} {:>8}\n",
        "all",
        after.join(" "),
        c.transitions.total()
    ));

    let head = format!("{} % interval", c.bootstrap.percent);
    say(format!("{:<34} {:>8} {:>18}  over", "", "", head));
    for (words, m) in [("reference", &c.reference), ("consistent", &c.potential)] {
        say(format!(
            "{:<34} {:>8.1} of at most {:.1}",
            format!("mitigation score, {words}"),
            m.score,
            m.attainable
        ));
        say(estimate("  mean a picture", &m.mean));
    }
    say(estimate("foreground score, B − A", &c.foreground));
    say(estimate("background score, B − A", &c.background));
    say(estimate("FM that stays FM", &c.persistence.foreground_only));
    say(estimate(
        "VM that becomes FM",
        &c.persistence.verbatim_to_foreground,
    ));
    say(estimate(
        "copied foreground that stays",
        &c.persistence.foreground,
    ));
    say(estimate(
        "copied background that stays",
        &c.persistence.background,
    ));
    if let Some(alignment) = &c.alignment {
        say(estimate("CLIP score, B − A", alignment));
    }
    if let Some(fit) = &c.prompt_fit {
        say(estimate("  of A's pictures", &fit.a));
        say(estimate("  of B's pictures", &fit.b));
        if let Some(chance) = &fit.chance {
            say(estimate("  of A's with other prompts", chance));
        }
        if let Some(kept) = fit.kept {
            say(format!("{:<34} {kept:>8.3}", "  left of what prompts add"));
        }
    }
    if let Some(q) = &c.quality {
        say(format!(
            "{:<34} {:>8.3}",
            "picture quality by A's measure", q.score
        ));
        say(estimate("  ordinary pictures in A", &q.a));
        say(estimate("  ordinary pictures in B", &q.b));
        for s in &q.statistics {
            say(format!("  {:<32} {:>8.3} → {:.3}", s.name, s.a, s.b));
        }
    }
    if let Some(distance) = &c.distance {
        say(estimate("distance of B's picture from A's", distance));
        if let Some(measure) = measure {
            say(format!("  measured as {measure}"));
        }
    }
    if let Some(d) = &c.diversity {
        say(format!("diversity over seeds, {}", d.measure));
        say(estimate("  A", &d.a));
        say(estimate("  B", &d.b));
    }
    let seconds = |s: Option<f64>| s.map_or("–".to_owned(), |s| format!("{s:.2}"));
    say(format!(
        "{:<34} {:>8} → {}",
        "seconds a picture",
        seconds(c.seconds.a),
        seconds(c.seconds.b)
    ));
    if let Some(touched) = touched {
        say(format!("touched: {touched}"));
    }
    say(format!(
        "\nIntervals: percentile bootstrap over prompts, {} resamples, seed {}.",
        c.bootstrap.resamples, c.bootstrap.seed
    ));
    for line in missing {
        say(format!("not measured: {line}"));
    }
    out
}

fn estimate(name: &str, e: &Estimate) -> String {
    let Some(value) = e.value else {
        return format!("{name:<34} {:>8}", "–");
    };
    let interval = e
        .interval
        .map_or("–".to_owned(), |[l, h]| format!("[{l:.3}, {h:.3}]"));
    format!(
        "{name:<34} {value:>8.3} {interval:>18}  {} pictures, {} prompts, {} seeds",
        e.pictures, e.prompts, e.seeds
    )
}
