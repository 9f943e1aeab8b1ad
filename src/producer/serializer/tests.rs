//! Java's bytes, sizes that are wrong, and an application's serializer that needs a second call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Serializer, SerializerClass, serialize_own};
use crate::code::Code;

fn written(class: SerializerClass, object: &[u8]) -> Result<Option<Vec<u8>>, Code> {
    let mut out = vec![0xaa; 3];
    class.serialize(Some(object), &mut out).map(|bytes| bytes.map(<[u8]>::to_vec))
}

#[test]
fn numbers_are_javas_bytes() {
    use SerializerClass as S;
    // What Java's serializers write, computed by their definition (big-endian; floats by their bits).
    let cases: &[(S, &[u8], &[u8])] = &[
        (S::Int16, &(-2_i16).to_ne_bytes(), &[0xff, 0xfe]),
        (S::Int32, &0x0102_0304_i32.to_ne_bytes(), &[1, 2, 3, 4]),
        (S::Int64, &(-2_i64).to_ne_bytes(), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]),
        (S::Float, &1.5_f32.to_ne_bytes(), &[0x3f, 0xc0, 0, 0]),
        (S::Double, &(-2.5_f64).to_ne_bytes(), &[0xc0, 0x04, 0, 0, 0, 0, 0, 0]),
        (S::Boolean, &[1], &[1]),
        (S::Boolean, &[0], &[0]),
        (S::Bytes, &[0, 0xff], &[0, 0xff]),
        (S::String, "ä".as_bytes(), "ä".as_bytes()),
        (S::String, &[], &[]),
    ];
    for (class, object, expected) in cases {
        assert_eq!(written(*class, object), Ok(Some(expected.to_vec())), "{class:?}");
    }
}

#[test]
fn a_double_nan_is_javas_one_and_a_float_nan_keeps_its_bits() {
    let double = f64::from_bits(0xfff8_dead_beef_0001).to_ne_bytes();
    assert_eq!(written(SerializerClass::Double, &double), Ok(Some(vec![0x7f, 0xf8, 0, 0, 0, 0, 0, 0])));
    let float = 0x7fc0_0001_u32.to_ne_bytes();
    assert_eq!(written(SerializerClass::Float, &float), Ok(Some(vec![0x7f, 0xc0, 0, 1])));
}

#[test]
fn a_uuid_is_36_characters() {
    let bytes: Vec<u8> = (0..16).map(|byte| byte * 0x11).collect();
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    assert_eq!(written(SerializerClass::Uuid, &bytes), Ok(Some(text.as_bytes().to_vec())));
}

#[test]
fn null_is_null_and_a_wrong_size_is_refused() {
    use SerializerClass as S;
    let sizes =
        [(S::Int16, 2), (S::Int32, 4), (S::Int64, 8), (S::Float, 4), (S::Double, 8), (S::Boolean, 1), (S::Uuid, 16)];
    for (class, size) in sizes {
        assert_eq!(class.serialize(None, &mut Vec::new()), Ok(None), "{class:?}");
        for wrong in [0, size - 1, size + 1, 40] {
            if wrong != size {
                assert_eq!(written(class, &vec![0; wrong]), Err(Code::SERIALIZATION), "{class:?} {wrong}");
            }
        }
    }
    assert_eq!(written(S::Boolean, &[2]), Err(Code::SERIALIZATION));
    assert_eq!(S::Void.serialize(None, &mut Vec::new()), Ok(None));
    assert_eq!(written(S::Void, &[]), Err(Code::SERIALIZATION));
}

/// Writes `size` bytes if they fit, and a NUL behind them as `snprintf` does.
fn printer(size: usize, calls: &Arc<AtomicUsize>) -> Serializer {
    let calls = Arc::clone(calls);
    Arc::new(move |topic, object, buffer| {
        calls.fetch_add(1, Ordering::Relaxed);
        assert_eq!((topic, object), (7, Some(&b"x"[..])));
        if size < buffer.len() {
            buffer[..size].fill(b'v');
            buffer[size] = 0;
        }
        i64::try_from(size).unwrap()
    })
}

#[test]
fn what_does_not_fit_is_asked_for_again_once() {
    for (size, expected) in [(0, 1), (10, 1), (255, 1), (256, 2), (257, 2), (100_000, 2)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let mut out = Vec::new();
        let bytes = serialize_own(&printer(size, &calls), 7, Some(b"x"), 1 << 20, &mut out);
        assert_eq!(bytes, Ok(Some(&vec![b'v'; size][..])), "{size}");
        assert_eq!(calls.load(Ordering::Relaxed), expected, "{size}");
        // The buffer has grown: the next record of this size needs one call.
        serialize_own(&printer(size, &calls), 7, Some(b"x"), 1 << 20, &mut out).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), expected + 1, "{size}");
    }
}

#[test]
fn answers_out_of_the_rules_are_refused() {
    let answer = |size: i64| -> Serializer { Arc::new(move |_, _, _| size) };
    let mut out = Vec::new();
    let mut ask = |size| serialize_own(&answer(size), 1, None, 1000, &mut out).map(|bytes| bytes.map(<[u8]>::len));
    assert_eq!(ask(-1), Ok(None));
    assert_eq!(ask(-2), Err(Code::SERIALIZATION));
    assert_eq!(ask(i64::MIN), Err(Code::SERIALIZATION));
    assert_eq!(ask(1000), Ok(Some(1000)));
    assert_eq!(ask(1001), Err(Code::RECORD_TOO_LARGE));
    assert_eq!(ask(i64::MAX), Err(Code::RECORD_TOO_LARGE));
    assert!(out.len() <= 1001, "no memory was taken for what is too large: {}", out.len());
}

#[test]
fn a_serializer_that_always_wants_more_is_refused() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let greedy: Serializer = Arc::new(move |_, _, buffer| {
        counted.fetch_add(1, Ordering::Relaxed);
        i64::try_from(buffer.len()).unwrap()
    });
    assert_eq!(serialize_own(&greedy, 1, Some(b"x"), 1 << 20, &mut Vec::new()), Err(Code::SERIALIZATION));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
