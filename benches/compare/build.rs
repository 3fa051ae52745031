//! What is built for a measurement: `lb-drain` as it is installed, and the programs in C.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// `lb-drain` as it is installed: the one that `LB_DRAIN_BIN` names, else one that is built here.
///
/// Not the one that cargo builds along with a bench: its dependencies have the features that tests need too.
pub(crate) fn lb_drain() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("LB_DRAIN_BIN") {
        Some(path) => path.into(),
        None => install(&[], &[]),
    })
}

/// The target for which packages are built.
fn target() -> String {
    format!("{}-unknown-linux-musl", env::consts::ARCH)
}

/// Builds it with these options of cargo and the profile `dist`, in which these settings are others:
/// `("OPT_LEVEL", "3")`.
pub(crate) fn install(options: &[&str], settings: &[(&str, &str)]) -> PathBuf {
    let added = Command::new("rustup").args(["target", "add", &target()]).status();
    assert!(
        added.is_ok_and(|status| status.success()),
        "Rust's standard library for {} is missing, and rustup cannot add it; or name a binary in LB_DRAIN_BIN",
        target()
    );
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--profile", "dist", "--bin", "lb-drain"]);
    cargo.args(["--target", &target()]);
    cargo.args(options).current_dir(ROOT);
    // What cargo tells a bench about its package makes build scripts run again that look at these.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            cargo.env_remove(&name);
        }
    }
    for (name, value) in settings {
        cargo.env(format!("CARGO_PROFILE_DIST_{name}"), value);
    }
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "{cargo:?}: {built}");
    let folder =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(ROOT).join("target"), PathBuf::from);
    folder.join(target()).join("dist/lb-drain")
}

/// Compiles one of the programs in C beside this file into `folder`.
pub(crate) fn c(name: &str, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(format!("{ROOT}/benches/compare/{name}.c"))
        .status()
        .expect("cc is installed");
    assert!(built.success(), "cc: {built}");
    program
}
