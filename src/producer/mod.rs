//! The safe Rust API and only owner: settings, topics, partitioners, life.
//!
//! ```no_run
//! use kurier::producer::{Config, Producer, Record, Timeout};
//!
//! let mut config = Config::new();
//! config.set("bootstrap.servers", "localhost:9092")?;
//! let producer = Producer::new(&config)?;
//! let topic = producer.topic("payments").map_err(|code| kurier::code::Error::new(code, "topic"))?;
//! let record = Record { topic, key: Some(b"account"), value: Some(b"42.00"), ..Record::default() };
//! let (delivery, result) = producer.send_wait(&record, Timeout::Default);
//! result?;
//! println!("partition {}, offset {}", delivery.partition, delivery.offset);
//! # Ok::<(), kurier::code::Error>(())
//! ```

mod callback;
pub mod config;
mod life;
pub mod partitioner;
mod receive;
mod runs;
mod send;
pub mod serializer;
pub mod settings;
mod timeout;
mod topics;

pub use crate::delivery::{Delivery, ReadyCallback};
pub use crate::io::LogCallback;
pub use crate::protocol::broker_code::name as broker_code_name;
pub use crate::protocol::record::Header;
pub use callback::inside_callback;
pub use config::{Config, DeliveryCallback};
pub use life::Producer;
pub use partitioner::Partitioner;
pub use runs::Runs;
pub use serializer::Serializer;
pub use timeout::{Deadline, Timeout};

use crate::protocol::record::RecordBody;

/// A record to send, borrowed: it is copied before `send` returns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// From [`Producer::topic`].
    pub topic: u32,
    /// `None`: the partitioner chooses.
    pub partition: Option<i32>,
    /// `None` is null, which is not the empty key.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// In order; names may repeat.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since 1970, not negative; `None` is now.
    pub timestamp_ms: Option<i64>,
    /// Comes back in the delivery.
    pub opaque: u64,
    /// No delivery on success.
    pub quiet: bool,
}

impl<'a> Record<'a> {
    #[inline(always)]
    fn body(&self) -> RecordBody<'a> {
        RecordBody { key: self.key, value: self.value, headers: self.headers }
    }
}
