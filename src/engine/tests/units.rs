//! The small functions.

use super::*;
use crate::engine::backoff::backoff;
use crate::engine::identity::{Line, ProducerIdentity, sequence_add, sequence_is_later};

#[test]
fn sequences_add_and_compare_across_the_wrap() {
    assert_eq!(sequence_add(i32::MAX, 1), 0);
    assert_eq!(sequence_add(i32::MAX - 1, 5), 3);
    assert_eq!(sequence_add(0, 0), 0);
    assert!(sequence_is_later(3, i32::MAX - 1));
    assert!(!sequence_is_later(i32::MAX - 1, 3));
    assert!(!sequence_is_later(7, 7));
    assert!(sequence_is_later(8, 7));
}

#[test]
fn a_line_is_complete_when_everything_given_out_was_written() {
    let mut line = Line::default();
    assert!(line.is_complete());
    let mut identity = Identity::default();
    identity.adopt(ProducerIdentity { id: 1, epoch: 0 }, 0);
    line.begin(&identity);
    assert!(line.is_complete());
    let first = line.stamp(3).unwrap();
    let second = line.stamp(2).unwrap();
    assert!(!line.is_complete());
    line.acknowledge(second, 2, -1, false);
    assert!(line.is_complete());
    line.acknowledge(first, 3, -1, true);
    assert!(line.is_complete(), "an older answer takes nothing back");
    identity.bump();
    line.begin(&identity);
    line.acknowledge(second, 2, -1, false);
    assert_eq!(line.acked, None, "another epoch's answer does not count");
}

#[test]
fn an_offset_has_to_leave_room_for_what_comes_before_it() {
    // Also where nothing was acknowledged: before a batch at offset 0 of a log that was made anew stands nothing.
    let mut identity = Identity::default();
    identity.adopt(ProducerIdentity { id: 1, epoch: 0 }, 0);
    let acknowledged = |base_offset| {
        let mut line = Line::default();
        line.begin(&identity);
        line.stamp(3).unwrap();
        let second = line.stamp(2).unwrap();
        line.acknowledge(second, 2, base_offset, false);
        line
    };
    assert!([0, 2].iter().all(|offset| acknowledged(*offset).is_torn));
    assert!([-1, 3, i64::MAX].iter().all(|offset| !acknowledged(*offset).is_torn));
    let mut line = acknowledged(i64::MAX);
    line.stamp(1).unwrap();
    let last = line.stamp(1).unwrap();
    line.acknowledge(last, 1, 0, false);
    assert!(line.is_torn, "an absurd offset before");
}

#[test]
fn backoff_doubles_up_to_its_limit_with_a_fifth_of_jitter() {
    let mut random = Random::new(7);
    let law = (Duration::from_millis(100), Duration::from_millis(1_000));
    for (failures, middle) in [(0, 100), (1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (u32::MAX, 1_000)] {
        let waits: BTreeSet<_> = (0..100).map(|_| backoff(law, failures, &mut random)).collect();
        let (least, most) = (waits.first().unwrap(), waits.last().unwrap());
        assert!(*least >= Duration::from_millis(middle * 8 / 10) && *most <= Duration::from_millis(middle * 12 / 10));
        assert!(waits.len() > 10, "jitter");
    }
    let forever = (Duration::MAX, Duration::MAX);
    assert!(backoff(forever, 9, &mut random) > Duration::from_secs(1 << 32), "saturates");
}
