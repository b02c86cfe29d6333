//! `pentimento export`: a checkpoint with a variant's edits in its weights.

use super::args::{Common, ExportArgs};
use crate::{
    diffusion::{Checkpoint, Untouched, export},
    engine::{made_for_another, model_hash},
    store::{read_variant, write_variant},
    study::{Edit, Problem, Variant},
};

/// Writes the checkpoint and prints its folder.
pub fn run(args: &ExportArgs, common: &Common) -> Result<(), Problem> {
    let variant = of_cluster(read_variant(&args.variant)?, args)?;
    let checkpoint = Checkpoint::open(&args.model)
        .map_err(|e| super::failed("This checkpoint cannot be used", &e).at(&args.model))?;
    let others: Vec<String> = others(&variant).collect();
    let lasting = variant.edits.len() - others.len();
    if !others.is_empty() && !args.weights_only || lasting == 0 {
        return Err(refused(&variant, others).at(&args.variant));
    }
    if variant.base.hash.is_some() {
        let hash = model_hash(&checkpoint)
            .map_err(|e| super::failed("The weights cannot be read", &e).at(&args.model))?;
        if let Some(problem) = made_for_another(&variant, &hash) {
            super::tell(&problem);
        }
    }
    let untouched = if args.link {
        Untouched::Link
    } else {
        Untouched::Copy
    };
    let exported = export(&checkpoint, &variant, &args.out, untouched)
        .map_err(|e| super::failed("The checkpoint cannot be written", &e).at(&args.out))?;
    // What the checkpoint was made with, for whoever finds it.
    let carried = Variant {
        edits: variant
            .edits
            .iter()
            .filter(|e| e.is_in_weights())
            .cloned()
            .collect(),
        ..variant.clone()
    };
    write_variant(&args.out.join("variant.toml"), &carried)?;
    if !common.quiet {
        for other in &others {
            eprintln!("pentimento: left out: {other}");
        }
        for file in &exported.left_out {
            eprintln!(
                "pentimento: not copied, it holds the weights unedited: {}",
                file.display()
            );
        }
        eprintln!(
            "pentimento: {} of {} edits applied, {} weights changed",
            lasting,
            variant.edits.len(),
            exported.weights.len()
        );
    }
    println!("{}", args.out.display());
    Ok(())
}

/// The variant as prompts of the named cluster see it.
fn of_cluster(variant: Variant, args: &ExportArgs) -> Result<Variant, Problem> {
    let numbers: Vec<String> = variant.clusters().map(|c| c.cluster.to_string()).collect();
    let numbers = numbers.join(", ");
    match args.cluster {
        None if numbers.is_empty() => Ok(variant),
        None => Err(Problem::new(
            "A checkpoint can carry the edits of one cluster only",
            "Name one with --cluster, and export once for each; which cluster a prompt falls in is decided while drawing \
             (generate --variant, scan --variant).",
        )
        .at(&args.variant)
        .detail(format!("clusters of this variant: {numbers}"))),
        Some(number) => variant.for_cluster(number).ok_or_else(|| {
            let there = if numbers.is_empty() {
                "the variant has no clusters".to_owned()
            } else {
                format!("its clusters: {numbers}")
            };
            Problem::new(
                "The variant has no such cluster",
                "Name one of its clusters, or leave --cluster out.",
            )
            .at(&args.variant)
            .detail(format!("cluster {number} is asked for; {there}"))
        }),
    }
}

/// The edits that weights cannot carry, in words.
fn others(variant: &Variant) -> impl Iterator<Item = String> + '_ {
    variant
        .edits
        .iter()
        .enumerate()
        .filter(|(_, e)| !e.is_in_weights())
        .map(|(i, e)| format!("edit {} ({}): {}", i + 1, e.words(), what_to_do(e)))
}

fn what_to_do(edit: &Edit) -> &'static str {
    match edit {
        Edit::Neurons(_) | Edit::Mask(_) => {
            "it holds at some steps only, weights at all of them; take the limit out, or draw with --variant"
        }
        Edit::Embedding(_) => {
            "it replaces the text encoder's output; give the tensor to diffusers as prompt_embeds"
        }
        Edit::Cluster(_) => "it holds for some prompts only; name it with --cluster",
        Edit::Guidance(_) => "it acts while drawing; set guidance in a callback_on_step_end of diffusers",
    }
}

fn refused(variant: &Variant, others: Vec<String>) -> Problem {
    let mut problem = if variant.edits.is_empty() || others.len() == variant.edits.len() {
        Problem::new(
            "Nothing of this variant can be written into weights",
            "Draw with it: generate --variant or scan --variant.",
        )
    } else {
        Problem::new(
            "Some edits of this variant cannot be written into weights",
            "Draw with the whole variant (generate --variant), or export the rest with --weights-only.",
        )
    };
    problem.details = others;
    problem
}
