//! How the binary is linked, where that is a matter of options: on Linux.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    together_what_runs_together();
    if !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // At a fixed address: else the loader writes 16 000 addresses into 100 pages at each start, a sixth of what a whole
    // run costs (ARCHITECTURE.md, "Dependencies").
    println!("cargo:rustc-link-arg-bins=-no-pie");
    // With the unwinder in it, where the compiler has it: one library less to load at each start. The `cc` of this host
    // knows those of its own architecture alone.
    if std::env::var("HOST") != std::env::var("TARGET") {
        return;
    }
    let asked = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    let path = asked.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let path = Path::new(path.trim());
    if let Some(folder) = path.parent().filter(|_| path.is_absolute() && path.exists()) {
        println!("cargo:rustc-link-search=native={}", folder.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Functions that few runs need, by the crates and modules in their sections' names; then those of HTTP. The rest, which
/// every run needs, comes before them.
const ORDER: &str = "
SECTIONS
{
  .text.rarely : {
    *(.text.*aws_* .text.*rustls* .text.*webpki* .text.*ring_core_* .text.*4ring* .text.*4sha2* .text.*2h2* .text.*..h2..*)
    *(.text.*rehearse* .text.*unit_file* .text.*indicatif* .text.*console* .text.*toml* .text.*serde_spanned*)
    *(.text.*regex* .text.*gimli?* .text.*addr2line?* .text.*rustc_demangle?* .text.*fmt..Debug* .text.*rand_chacha*)
    *ring*.rlib:*(.text .text.*)
  }
  .text.http : {
    *(.text.*hyper* .text.*reqwest* .text.*http* .text.*3url* .text.*4idna* .text.*futures_util* .text.*tower*)
  }
}
INSERT AFTER .text;
";

/// Puts what runs together in one place. Scattered over all of the binary, what a short run needs touches almost every
/// 64 KiB of it, and each first touch is a page fault: together they were a tenth of such a run.
///
/// Only in the profile that is measured and shipped. GNU ld and lld read such a script; mold does not.
fn together_what_runs_together() {
    let folder = std::env::var_os("OUT_DIR").expect("cargo sets it");
    let folder = Path::new(&folder);
    // target/PROFILE/build/PACKAGE/out, or target/TARGET/PROFILE/…
    if folder.ancestors().nth(3).and_then(Path::file_name) != Some("dist".as_ref()) {
        return;
    }
    let script = folder.join("order.ld");
    std::fs::write(&script, ORDER).expect("cargo made the folder");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
}
