//! ApiVersions (18), versions 0 to 4.

/// Asks which versions the broker speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersionsRequest {
    /// From version 3 (KIP-511).
    pub client_software_name: String,
    /// From version 3.
    pub client_software_version: String,
}

/// One API's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiRange {
    /// Number of the API.
    pub api_key: i16,
    /// Lowest version.
    pub min_version: i16,
    /// Highest version.
    pub max_version: i16,
}

/// The broker's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersionsResponse {
    /// 0, or 35 (UNSUPPORTED_VERSION, in a version 0 body).
    pub error_code: i16,
    /// The ranges.
    pub api_keys: Vec<ApiRange>,
    /// From version 1.
    pub throttle_time_ms: i32,
    /// Tag 1, -1 if absent.
    pub finalized_features_epoch: i64,
    /// Tag 2: name, highest and lowest finalized level.
    pub finalized_features: Vec<(String, i16, i16)>,
}
