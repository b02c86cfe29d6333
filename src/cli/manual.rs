//! `pentimento completions` and `pentimento man`: written from the same description the arguments are read by.

use super::args::{Cli, CompletionsArgs, ManArgs};
use crate::{store::write_whole, study::Problem};
use clap::CommandFactory;
use std::fs;

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs) -> Result<(), Problem> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pentimento", &mut text);
    print!("{}", String::from_utf8_lossy(&text));
    Ok(())
}

/// Writes `pentimento.1` and a page for each command, `pentimento-scan.1` and so on.
pub fn pages(args: &ManArgs) -> Result<(), Problem> {
    fs::create_dir_all(&args.out).map_err(|e| Problem::io("The folder cannot be made", &args.out, &e))?;
    let mut program = Cli::command();
    program.build();
    let commands = program.get_subcommands().filter(|c| c.get_name() != "help");
    let all = std::iter::once(("pentimento".to_owned(), program.clone()))
        .chain(commands.map(|c| (format!("pentimento-{}", c.get_name()), c.clone())));
    for (name, command) in all {
        let path = args.out.join(format!("{name}.1"));
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|e| Problem::io("A page could not be written", &path, &e))?;
        write_whole(&path, &page)?;
    }
    println!("{}", args.out.display());
    Ok(())
}
