//! InitProducerId (22), versions 0 to 5.

/// Asks for a producer id and epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducerIdRequest {
    /// `None` for an idempotent producer.
    pub transactional_id: Option<String>,
    /// Only with a transactional id; else the largest number.
    pub transaction_timeout_ms: i32,
    /// From version 3: the current id, to bump it; -1.
    pub producer_id: i64,
    /// From version 3: the current epoch; -1.
    pub producer_epoch: i16,
}

/// The identity given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitProducerIdResponse {
    /// How long the broker wants to be left alone.
    pub throttle_time_ms: i32,
    /// 0 or why not.
    pub error_code: i16,
    /// The id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}
