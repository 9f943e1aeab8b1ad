//! The safe Rust API and only owner: settings, topics, partitioners, life.

pub mod config;
pub mod partitioner;
pub mod serializer;
pub mod settings;
