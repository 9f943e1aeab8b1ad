//! Which APIs the embedded cluster speaks, their names in commands, and the ranges of older brokers.

use crate::protocol::messages::ApiKey;

/// Every API that is answered, with its name in commands. The versions are those of the codec.
pub(super) const APIS: &[(ApiKey, &str)] = &[
    (ApiKey::Produce, "produce"),
    (ApiKey::Fetch, "fetch"),
    (ApiKey::ListOffsets, "list_offsets"),
    (ApiKey::Metadata, "metadata"),
    (ApiKey::ApiVersions, "api_versions"),
    (ApiKey::InitProducerId, "init_producer_id"),
    (ApiKey::DescribeProducers, "describe_producers"),
];

/// An API that is left out.
const NONE: i16 = -1;

/// Highest versions of older brokers, in the order of [`APIS`]; the lowest are those that are built.
/// Source: the message definitions of each release.
const PROFILES: &[(&str, [i16; APIS.len()])] = &[
    ("2.1", [7, 10, 4, 7, 2, 1, NONE]),
    ("2.4", [8, 11, 5, 9, 3, 2, NONE]),
    ("2.8", [9, 12, 6, 11, 3, 4, 0]),
    ("3.9", [11, 12, 7, 12, 4, 5, 0]),
    ("4.0", [12, 12, 7, 13, 4, 5, 0]),
    ("4.2", [13, 12, 7, 13, 4, 5, 0]),
];

/// The ranges that the cluster tells and keeps to, in the order of [`APIS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranges([(i16, i16); APIS.len()]);

impl Default for Ranges {
    fn default() -> Self {
        let mut ranges = [(0, 0); APIS.len()];
        for (range, (api, _)) in ranges.iter_mut().zip(APIS) {
            *range = api.client_range().into_inner();
        }
        Self(ranges)
    }
}

impl Ranges {
    /// Those of a release, `None` for one that is not listed.
    pub(super) fn of_release(release: &str) -> Option<Self> {
        let (_, highest) = PROFILES.iter().find(|(name, _)| *name == release)?;
        let mut ranges = Self::default();
        for (range, max_version) in ranges.0.iter_mut().zip(highest) {
            range.1 = *max_version;
        }
        Some(ranges)
    }

    /// The releases that are listed.
    pub(super) fn releases() -> impl Iterator<Item = &'static str> {
        PROFILES.iter().map(|(name, _)| *name)
    }

    /// The range of an API.
    pub(super) fn of(&self, index: usize) -> (i16, i16) {
        self.0.get(index).copied().unwrap_or((0, -1))
    }

    /// Tells another range.
    pub(super) fn set(&mut self, index: usize, min_version: i16, max_version: i16) {
        if let Some(range) = self.0.get_mut(index) {
            *range = (min_version, max_version);
        }
    }

    /// Every API that is offered, with its range.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ApiKey, i16, i16)> {
        let ranges = APIS.iter().zip(self.0);
        ranges
            .filter(|(_, (min_version, max_version))| min_version <= max_version)
            .map(|((api, _), (min_version, max_version))| (*api, min_version, max_version))
    }
}

/// The place of an API in [`APIS`].
pub(super) fn index_of_number(number: i16) -> Option<usize> {
    APIS.iter().position(|(api, _)| *api as i16 == number)
}

/// The place of an API by the name that a person gives it: `init_producer_id`, `InitProducerId`.
pub(super) fn index_of_name(name: &str) -> Option<usize> {
    let plain = |name: &str| name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect::<String>();
    let name = plain(name);
    APIS.iter().position(|(_, known)| plain(known) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_stay_within_what_is_built() {
        for release in Ranges::releases() {
            let ranges = Ranges::of_release(release).expect("it is listed");
            for (api, min_version, max_version) in ranges.iter() {
                let built = api.client_range();
                assert!(min_version <= max_version && built.contains(&max_version), "{release} {api:?}");
            }
        }
        assert_eq!(Ranges::of_release("4.2"), Some(Ranges::default()));
        let offers = |release| Ranges::of_release(release).expect("it is listed").iter().count();
        assert_eq!((offers("2.4"), offers("2.8")), (APIS.len() - 1, APIS.len()), "DescribeProducers came in Kafka 2.8");
        assert_eq!(Ranges::of_release("9.9"), None);
    }

    #[test]
    fn names_are_found_in_both_spellings() {
        assert_eq!(index_of_name("init_producer_id"), index_of_name("InitProducerId"));
        assert_eq!(index_of_name("Produce"), Some(0));
        assert_eq!(index_of_name("produced"), None);
        assert_eq!(index_of_number(18), Some(4));
    }
}
