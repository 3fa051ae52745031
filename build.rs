//! How the binary is linked in the profile that is measured and shipped, on Linux: what runs together lies together.

use std::path::Path;

/// Functions that few runs need, by the crates and modules in their sections' names; then those of HTTP. The rest, which
/// every run needs, comes before them. A name that ends with a crate's is of the standard library, made for that crate
/// and used by all: so what has such names too is asked for with something behind it (`gimli?*`).
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
/// GNU ld and lld read such a script; mold does not.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
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
