//! The wire codec against other implementations and against hostile input. No network.

mod generate;
mod hostile;
mod messages;
mod oracle;
mod records;
mod vectors;
