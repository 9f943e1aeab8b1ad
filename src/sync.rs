//! Locks and atomics: the real ones, or loom's, which try every interleaving (`RUSTFLAGS="--cfg loom"`).
