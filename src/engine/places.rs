//! Where the program's own assets and the user's folders are.

use crate::fetch::{self, Places};
use std::path::{Path, PathBuf};

/// The demo study: `$PENTIMENTO_ASSETS/demo`, else `assets/demo` beside the program or in one of the
/// folders above it (a build tree), else in the source tree the program was built from.
pub fn demo_study() -> Option<PathBuf> {
    let named = std::env::var_os("PENTIMENTO_ASSETS").map(PathBuf::from);
    let program = std::env::current_exe().ok();
    let above = program
        .iter()
        .flat_map(|p| p.ancestors().skip(1).take(4))
        .map(|p| p.join("assets"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    named
        .into_iter()
        .chain(above)
        .chain([source])
        .map(|assets| assets.join("demo"))
        .find(|demo| demo.join("study.toml").is_file())
}

/// The segmenter used where a study names none: the demo study's.
pub fn default_segmenter() -> Option<PathBuf> {
    demo_study()
        .map(|demo| demo.join("segmenter"))
        .filter(|folder| folder.is_dir())
}

/// The user's data folder, for runs of studies that have no folder of their own or a read-only one.
/// `$PENTIMENTO_DATA` replaces it.
pub fn user_data() -> Option<PathBuf> {
    std::env::var_os("PENTIMENTO_DATA")
        .map(PathBuf::from)
        .or_else(|| {
            directories::ProjectDirs::from("", "", "pentimento").map(|dirs| dirs.data_dir().to_owned())
        })
}

/// Where weights lie for this user.
pub fn weight_places() -> Places {
    Places::of_user(user_data())
}

/// What to do about weights that are named but not there.
pub fn fetch_advice(path: &Path) -> Option<String> {
    let model = fetch::model(path.file_name()?.to_str()?).filter(|_| !path.exists())?;
    Some(format!(
        "Get {} ({}) with `pentimento fetch {}` or Weights… in the window, then open the study again.",
        model.title,
        model.size(),
        model.name
    ))
}
