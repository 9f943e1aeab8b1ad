//! ListOffsets (2): what the embedded cluster needs so that consumers can find the ends of a log.
