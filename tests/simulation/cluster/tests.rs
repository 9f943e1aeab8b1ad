//! The model itself: each rule of a broker in a few lines.
