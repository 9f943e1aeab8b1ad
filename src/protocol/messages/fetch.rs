//! Fetch (1): what the embedded cluster needs so that consumers can read it back.
