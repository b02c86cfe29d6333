//! `pentimento detect`: which signs of memorization tell a run's memorized pictures from the others, at which step?
//!
//! With `--json`, one object:
//!
//! | key | what |
//! |---|---|
//! | `format` | 1; a higher number when keys change their meaning |
//! | `run` | `folder`, `study`, `model`, `sampling`, `variant` |
//! | `truth` | what pictures are held to be: `from`, `thresholds` or the file, and the number of pictures of each class |
//! | `pictures`, `prompts`, `seeds` | over how many |
//! | `without_class` | pictures of which nothing is known: left out |
//! | `above` | per class the share of pictures above the band at each step |
//! | `warnings` | sentences |
//! | the rest | the fields of [`Detection`], under their names; `curve` and `best_curve` of a signal are `[FPR, TPR]` points |

use super::{
    args::{Common, ThresholdPair, thresholds},
    bootstrap_args::BootstrapArgs,
};
use crate::{
    engine::BandFile,
    memorization::{
        NoiseBand,
        detection::{
            Above, Contrast, Detection, DetectionSettings, Observed, Separation, SignalSeparation, Unit,
            above, detect,
        },
    },
    store::{Record, Run, read_labels, read_prompts},
    study::{GenerationKey, Problem, Verdict, labels_of_prompts},
};
use clap::Args;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
    ops::Range,
    path::PathBuf,
};

/// `pentimento detect`.
#[derive(Debug, Args)]
pub struct DetectArgs {
    /// Run folder; its pictures must have been drawn by this program, with guidance
    pub run: PathBuf,
    /// What counts as memorized: foreground and background threshold, as 0.8,0.8; those of the run when not given
    #[arg(long, value_parser = thresholds, conflicts_with_all = ["prompts", "labels"])]
    pub thresholds: Option<ThresholdPair>,
    /// Hold pictures to be what this prompt list says (column group: VM, FM, BM, NM) instead of their verdicts
    #[arg(long, conflicts_with = "labels")]
    pub prompts: Option<PathBuf>,
    /// Hold pictures to be what this table of labels says instead of their verdicts; others are left out
    #[arg(long)]
    pub labels: Option<PathBuf>,
    /// Judge prompts by the means over their pictures, as Wen et al. do, instead of single pictures
    #[arg(long)]
    pub per_prompt: bool,
    /// First and last step of the mean, counted from 1, as 1..10; all steps when not given
    #[arg(long, value_parser = steps)]
    pub steps: Option<Steps>,
    /// Lay the pictures over this band (a file that --save-band wrote) instead of that of the run's own NM pictures
    #[arg(long)]
    pub band: Option<PathBuf>,
    /// Write the band of this run's NM pictures into a file
    #[arg(long)]
    pub save_band: Option<PathBuf>,
    /// How intervals are drawn
    #[command(flatten)]
    pub bootstrap: BootstrapArgs,
    /// Print everything, each step too, as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Steps counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps(pub Range<usize>);

fn steps(text: &str) -> Result<Steps, String> {
    let number = |t: &str| t.trim().parse::<usize>().ok().filter(|n| *n > 0);
    let both = text.split_once("..").map(|(a, b)| (number(a), number(b)));
    match both {
        Some((Some(first), Some(last))) if first <= last => Ok(Steps(first - 1..last)),
        _ => Err("first and last step are needed, counted from 1, as 1..10".to_owned()),
    }
}

/// What pictures are held to be.
struct Truth {
    words: String,
    json: serde_json::Value,
    class: HashMap<GenerationKey, Verdict>,
}

/// Judges the signals of a run and prints what came out.
pub fn run(args: &DetectArgs, common: &Common) -> Result<(), Problem> {
    let run = Run::open_read(&args.run)?;
    let mut warnings: Vec<String> = run.notices().iter().map(Problem::to_string).collect();
    let truth = truth(args, &run, &mut warnings)?;
    let seen: Vec<Observed<'_>> = run
        .records()
        .iter()
        .filter_map(|r| Some(observed(r, *truth.class.get(&r.key)?)))
        .collect();
    let without_class = run.records().len() - seen.len();
    if seen.is_empty() {
        return Err(Problem::new(
            "Nothing is known of these pictures",
            "Compare them with a gallery, or name what they are with --prompts or --labels.",
        )
        .at(&args.run));
    }
    let settings = DetectionSettings {
        unit: if args.per_prompt {
            Unit::Prompt
        } else {
            Unit::Picture
        },
        steps: args.steps.as_ref().map(|s| s.0.clone()),
        bootstrap: args.bootstrap.settings(),
    };
    let pool = crate::engine::compute_pool(common.threads)
        .map_err(|e| super::failed("Threads cannot be started", &e))?;
    let detection = pool.install(|| detect(&seen, &settings));
    if let Some(steps) = args.steps.as_ref().filter(|s| s.0.end > detection.steps) {
        warnings.push(format!(
            "--steps ends at {}, the pictures have {} steps",
            steps.0.end, detection.steps
        ));
    }
    if let Some(file) = &args.save_band {
        let Some(band) = &detection.band else {
            return Err(Problem::new(
                "This run gives no band",
                format!(
                    "It needs {} pictures that are not memorized, with noise norms.",
                    NoiseBand::FEWEST
                ),
            )
            .at(&args.run));
        };
        BandFile::new(run.parameters(), band.clone()).write(file)?;
    }
    let other = args.band.as_deref().map(BandFile::read).transpose()?;
    if let Some(other) = &other {
        warnings.extend(other.differences(run.parameters()));
    }
    let band = other.as_ref().map(|b| &b.band).or(detection.band.as_ref());
    let above = band.map(|b| above(&seen, b)).unwrap_or_default();
    for warning in &warnings {
        eprintln!("pentimento: {warning}");
    }
    let counts: BTreeMap<&str, usize> = Verdict::ALL
        .map(|v| (v.letters(), seen.iter().filter(|p| p.class == v).count()))
        .into();
    let prompts = seen.iter().map(|p| p.key.prompt).collect::<BTreeSet<_>>().len();
    let seeds = seen.iter().map(|p| p.key.seed).collect::<BTreeSet<_>>().len();
    if args.json {
        let mut json = json(&detection)?;
        let p = run.parameters();
        json["format"] = 1.into();
        json["run"] = serde_json::json!({
            "folder": run.folder(),
            "study": p.study,
            "model": p.model,
            "sampling": p.sampling,
            "variant": p.variant,
        });
        json["truth"] = truth.json;
        json["truth"]["classes"] = serde_json::json!(counts);
        json["pictures"] = seen.len().into();
        json["prompts"] = prompts.into();
        json["seeds"] = seeds.into();
        json["without_class"] = without_class.into();
        json["above"] = serde_json::json!(above);
        if let Some(other) = &other {
            json["band"] = serde_json::json!(other.band);
        }
        json["warnings"] = warnings.into();
        println!("{json:#}");
        return Ok(());
    }
    println!(
        "{}: {} pictures of {prompts} prompts, {seeds} seeds, {} steps",
        run.folder().display(),
        seen.len(),
        detection.steps
    );
    let counts: Vec<String> = Verdict::ALL
        .map(|v| format!("{} {}", counts[v.letters()], v.letters()))
        .into();
    println!("Held to be memorized {}: {}", truth.words, counts.join(", "));
    if without_class > 0 {
        println!("{without_class} pictures of which nothing is known are left out");
    }
    if detection.left_out > 0 {
        println!(
            "{} pictures with other numbers of steps, or values that are not finite, are left out of the curves",
            detection.left_out
        );
    }
    print!("{}", table(&detection));
    print!("{}", band_words(band, other.is_some(), &above));
    println!(
        "\nIntervals: percentile bootstrap over prompts, {} resamples, seed {}. The best step is chosen on these very pictures.",
        detection.bootstrap.resamples, detection.bootstrap.seed
    );
    Ok(())
}

fn observed(record: &Record, class: Verdict) -> Observed<'_> {
    let signals = record.signals.as_ref();
    Observed {
        key: record.key,
        class,
        noise_norm: &record.noise_norm,
        localised: signals.map_or(&[], |s| &s.localised),
        ending: signals.and_then(|s| s.ending),
        entropy_late: signals.and_then(|s| s.entropy_late),
        entropy_first: signals.and_then(|s| s.entropy_first),
    }
}

fn truth(args: &DetectArgs, run: &Run, warnings: &mut Vec<String>) -> Result<Truth, Problem> {
    if let Some(file) = &args.labels {
        let (rows, notices) = read_labels(file)?;
        warnings.extend(notices.iter().map(Problem::to_string));
        let stem = |name: &str| name.rsplit_once('.').map_or(name, |(s, _)| s).to_owned();
        let by_name: HashMap<String, GenerationKey> = run
            .records()
            .iter()
            .map(|r| (stem(r.image.rsplit('/').next().unwrap_or_default()), r.key))
            .collect();
        let one = |row: &crate::store::LabelRow| {
            let key = by_name.get(&stem(&row.name)).copied().or(row.key)?;
            Some((key, row.labels.verdict()?))
        };
        return Ok(Truth {
            words: format!("by the labels of {}", file.display()),
            json: serde_json::json!({ "from": "labels", "file": file }),
            class: rows.iter().filter_map(one).collect(),
        });
    }
    if let Some(file) = &args.prompts {
        let (prompts, notices) = read_prompts(file)?;
        warnings.extend(notices.iter().map(Problem::to_string));
        let classes = labels_of_prompts(&prompts).ok_or_else(|| {
            Problem::new(
                "This prompt list names no classes",
                "It needs a column group with VM, FM, BM or NM for every prompt.",
            )
            .at(file)
        })?;
        let texts: HashMap<u32, &str> = prompts.iter().map(|p| (p.index, p.text.as_str())).collect();
        let one = |r: &Record| {
            // A number alone could be that of another list.
            let same = texts.get(&r.key.prompt) == Some(&r.prompt.as_str());
            Some((r.key, classes.get(&r.key.prompt).filter(|_| same)?.verdict()?))
        };
        return Ok(Truth {
            words: format!("by the groups of {}", file.display()),
            json: serde_json::json!({ "from": "prompts", "file": file }),
            class: run.records().iter().filter_map(one).collect(),
        });
    }
    let thresholds = args.thresholds.map_or(run.parameters().thresholds, |t| t.0);
    let one = |r: &Record| Some((r.key, thresholds.classify(&r.matches.first()?.scores)));
    Ok(Truth {
        words: format!(
            "by FB-Mem's verdict with thresholds F {:.3}, B {:.3}",
            thresholds.foreground, thresholds.background
        ),
        json: serde_json::json!({ "from": "verdicts", "thresholds": thresholds }),
        class: run.records().iter().filter_map(one).collect(),
    })
}

fn json(detection: &Detection) -> Result<serde_json::Value, Problem> {
    let mut json = serde_json::to_value(detection)
        .map_err(|e| super::failed("The detection cannot be written as JSON", &e))?;
    let points = |s: &Separation| -> Vec<[f64; 2]> { s.roc.points.iter().map(|p| [p.fpr, p.tpr]).collect() };
    for (c, contrast) in detection.contrasts.iter().enumerate() {
        for (s, signal) in contrast.signals.iter().enumerate() {
            let place = &mut json["contrasts"][c]["signals"][s];
            // Counted from 1, as everywhere a person reads it.
            place["best"] = signal.best.map(|b| b + 1).into();
            place["curve"] = serde_json::json!(signal.mean.as_ref().map(points));
            let best = signal.best.and_then(|b| signal.steps.get(b));
            place["best_curve"] = serde_json::json!(best.map(points));
        }
    }
    Ok(json)
}

fn table(detection: &Detection) -> String {
    let mut out = String::new();
    let unit = match detection.unit {
        Unit::Picture => "pictures",
        Unit::Prompt => "prompts",
    };
    for contrast in &detection.contrasts {
        let head = format!("{} against NM", contrast.positive.name());
        if let Some(reason) = nothing(contrast) {
            writeln!(out, "\n{head}: {reason}").unwrap_or_default();
            continue;
        }
        writeln!(
            out,
            "\n{head:<22} {:>9} {:>6} {:>16} {:>9} {:>9} {:>9}  over",
            "step",
            "AUC",
            format!("{} % interval", detection.bootstrap.percent),
            "TPR@1 %",
            "(Wen)",
            "accuracy"
        )
        .unwrap_or_default();
        for signal in &contrast.signals {
            let name = signal.signal.name();
            if let Some(reason) = &signal.missing {
                writeln!(out, "{name:<22} {:>9} {reason}", "–").unwrap_or_default();
                continue;
            }
            let mut row = |name: &str, step: &str, s: &Separation| {
                let auc = s.auc.value.unwrap_or_default();
                let interval = s
                    .auc
                    .interval
                    .map_or("–".to_owned(), |[l, h]| format!("[{l:.3}, {h:.3}]"));
                writeln!(
                    out,
                    "{name:<22} {step:>9} {auc:>6.3} {interval:>16} {:>9.3} {:>9.3} {:>9.3}  {} and {} {unit}, {} prompts{}",
                    s.tpr_nearest_fpr,
                    s.tpr_below_fpr,
                    s.accuracy,
                    s.positives,
                    s.negatives,
                    s.auc.prompts,
                    if auc < 0.5 { "; inverted" } else { "" }
                )
                .unwrap_or_default();
            };
            let mean = match detection.mean_over {
                _ if !signal.signal.per_step() => "–".to_owned(),
                Some([1, last]) if last == detection.steps => "mean".to_owned(),
                Some([first, last]) => format!("{first} to {last}"),
                None => "mean".to_owned(),
            };
            if let Some(s) = &signal.mean {
                row(name, &mean, s);
            }
            steps_of_interest(signal)
                .into_iter()
                .for_each(|(words, s)| row("", &words, s));
        }
    }
    out
}

/// The first, the best and the last step.
fn steps_of_interest(signal: &SignalSeparation) -> Vec<(String, &Separation)> {
    let Some(last) = signal.steps.len().checked_sub(1) else {
        return Vec::new();
    };
    let wanted: BTreeSet<usize> = [Some(0), signal.best, Some(last)].into_iter().flatten().collect();
    let words = |i: usize| {
        let best = if Some(i) == signal.best { "best " } else { "" };
        format!("{best}{}", i + 1)
    };
    wanted.into_iter().map(|i| (words(i), &signal.steps[i])).collect()
}

/// Why there is nothing in a contrast, when that is so for all signals for one reason.
fn nothing(contrast: &Contrast) -> Option<&str> {
    let first = contrast.signals.first()?.missing.as_deref()?;
    let all = contrast.signals.iter().all(|s| s.missing.is_some());
    all.then_some(first)
}

fn band_words(band: Option<&NoiseBand>, other: bool, above: &[Above]) -> String {
    let Some(band) = band else {
        return format!(
            "\nNo band: fewer than {} pictures that are not memorized have noise norms.\n",
            NoiseBand::FEWEST
        );
    };
    let mut out = format!(
        "\nBand of the noise norm, 5th to 95th percentile: {} {} pictures ({} prompts, {} seeds), {} steps\n",
        band.curves,
        if other { "other" } else { "NM" },
        band.prompts,
        band.seeds,
        band.steps()
    );
    let last = band.steps().saturating_sub(1);
    let places: BTreeSet<usize> = [0, 1, 2, last / 4, last / 2, 3 * last / 4, last]
        .into_iter()
        .filter(|i| *i <= last)
        .collect();
    let mut line = |head: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|c| format!("{c:>8}")).collect();
        writeln!(out, "{head:<22}{cells}").unwrap_or_default();
    };
    line("step", places.iter().map(|i| (i + 1).to_string()).collect());
    for (name, values) in [
        ("high end", &band.high),
        ("median", &band.middle),
        ("low end", &band.low),
    ] {
        line(
            name,
            places.iter().map(|i| format!("{:.3}", values[*i])).collect(),
        );
    }
    for class in above.iter().filter(|a| a.pictures > 0) {
        let cells = places.iter().map(|i| format!("{:.0} %", 100.0 * class.share[*i]));
        line(&format!("{} above it", class.class.letters()), cells.collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_from_one_with_both_ends() {
        assert_eq!(steps("1..10"), Ok(Steps(0..10)));
        assert_eq!(steps("3..3"), Ok(Steps(2..3)));
        for wrong in ["0..3", "4..2", "3", "a..b", ""] {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
    }
}
