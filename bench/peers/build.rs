//! Tells the benchmark where the repository, its `target` and the archives of librdkafka are.

use std::env;
use std::path::Path;

fn main() {
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&manifest).join("../..").canonicalize().expect("this package is in bench/peers");
    println!("cargo:rustc-env=KURIER_ROOT={}", root.display());
    // What cargo gives to tests only; the modules of tests/kafka keep jars and logs there.
    println!("cargo:rustc-env=CARGO_TARGET_TMPDIR={}", root.join("target/tmp").display());
    // Where the packages that compile C libraries put them (each `links` one); empty without the feature.
    for (name, package) in [("LIBRDKAFKA", "RDKAFKA"), ("LIBRDKAFKA_ZLIB", "Z"), ("LIBRDKAFKA_ZSTD", "ZSTD")] {
        let place = env::var(format!("DEP_{package}_ROOT")).unwrap_or_default();
        println!("cargo:rustc-env={name}={place}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
