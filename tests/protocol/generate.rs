//! Arbitrary values for the property tests, and the other implementation's types made of ours.

use kafka_protocol::protocol::StrBytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Text with characters of several bytes; now and then longer than a length of one byte can tell.
pub(crate) fn text() -> BoxedStrategy<String> {
    prop_oneof![9 => "\\PC{0,12}", 1 => "[a-zß]{120,140}"].boxed()
}

/// Text or null.
pub(crate) fn text_or_null() -> BoxedStrategy<Option<String>> {
    option::of(text()).boxed()
}

/// Bytes; now and then longer than a length of one byte can tell.
pub(crate) fn bytes() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 60..200)].boxed()
}

/// A short list; now and then longer than a count of one byte can tell.
pub(crate) fn list<S: Strategy + 'static>(element: S) -> BoxedStrategy<Vec<S::Value>> {
    let element = element.boxed();
    prop_oneof![60 => vec(element.clone(), 0..4), 1 => vec(element, 126..130)].boxed()
}

/// A topic id.
pub(crate) fn id() -> BoxedStrategy<[u8; 16]> {
    prop_oneof![Just([0; 16]), any::<[u8; 16]>()].boxed()
}

/// The other implementation's string.
pub(crate) fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The same for what may be null.
pub(crate) fn string_or_null(text: &Option<String>) -> Option<StrBytes> {
    text.as_deref().map(string)
}
