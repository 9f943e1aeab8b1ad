//! Kafka's error codes: their numbers and names. What to do about one is the engine's business.
