//! How the shared library is linked: its name with the ABI number, and that it stays loaded.

use std::env;

/// The number of the ABI, as in `KURIER_ABI_VERSION`: the soname changes only with it.
const ABI: &str = "0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let link = |argument: &str| println!("cargo:rustc-cdylib-link-arg={argument}");
    match target.as_str() {
        "linux" | "android" | "freebsd" | "netbsd" | "openbsd" | "dragonfly" => {
            link(&format!("-Wl,-soname,libkurier.so.{ABI}"));
            // Threads of ours may still run when the host says dlclose: the code must stay where it is.
            link("-Wl,-z,nodelete");
            // A symbol that nobody defines is our error, at link time, not the user's at load time. The sanitizers
            // leave theirs to the executable.
            if target == "linux" && !is_sanitized() {
                link("-Wl,-z,defs");
            }
        }
        "macos" | "ios" => link(&format!("-Wl,-install_name,@rpath/libkurier.{ABI}.dylib")),
        _ => {}
    }
}

fn is_sanitized() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("CARGO_CFG_SANITIZE").is_some() || flags.contains("sanitizer=")
}
