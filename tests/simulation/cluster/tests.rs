//! The model itself: each rule of a broker in a few lines, and that it never loses what it promised.
#![cfg(test)]

mod brokers;
mod client;
mod controllers;
mod idempotence;
mod never_loses;
mod wire;
