//! The system's file manager. It is started as a program of its own; the window never waits for it.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
    thread,
};

/// The program and its arguments that show `path` in its folder.
fn command(path: &Path) -> Command {
    let folder = path.parent().unwrap_or(path);
    let mut command = if cfg!(target_os = "macos") {
        let mut command = Command::new("open");
        command.arg("-R").arg(path);
        command
    } else if cfg!(windows) {
        let mut command = Command::new("explorer");
        command.arg(folder);
        command
    } else {
        let mut command = Command::new("xdg-open");
        command.arg(folder);
        command
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Shows a file in its folder.
///
/// # Errors
/// When there is no such program, or it cannot be started.
pub fn show(path: &Path) -> io::Result<()> {
    let mut child = command(path).spawn()?;
    // Waited for beside the window, so that no dead process stays.
    thread::Builder::new()
        .name("file manager".into())
        .spawn(move || child.wait().ok())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_argument_whatever_it_holds() {
        let command = command(Path::new("/a b/$(rm -rf x)/c.png"));
        let last = command.get_args().last().map(ToOwned::to_owned);
        assert!(last.is_some_and(|l| l.to_string_lossy().contains("$(rm -rf x)")));
    }
}
