//! Tells the harness where the repository, its `target` and librdkafka are.

use std::env;
use std::path::Path;

fn main() {
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&manifest).join("../..").canonicalize().expect("this package is in bench/chaos");
    println!("cargo:rustc-env=KURIER_ROOT={}", root.display());
    // What cargo gives to tests only; the modules of tests/kafka keep jars and logs there.
    println!("cargo:rustc-env=CARGO_TARGET_TMPDIR={}", root.join("target/tmp").display());
    // Where rdkafka-sys compiled the library (it `links` rdkafka); empty without the feature.
    println!("cargo:rustc-env=LIBRDKAFKA={}", env::var("DEP_RDKAFKA_ROOT").unwrap_or_default());
    println!("cargo:rerun-if-changed=build.rs");
}
