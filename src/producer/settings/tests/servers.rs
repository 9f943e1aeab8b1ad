//! `bootstrap.servers`: Java's forms, the embedded cluster, and errors that name the entry.

use super::super::bootstrap::{Bootstrap, MAX, parse};
use crate::code::Code;

fn servers(text: &str) -> Vec<(String, u16)> {
    match parse(text) {
        Ok(Bootstrap::Servers(servers)) => servers,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn javas_forms_are_read() {
    for (text, host, port) in [
        ("localhost:9092", "localhost", 9092),
        ("10.0.0.1:1", "10.0.0.1", 1),
        ("broker-1.example_x.com:65535", "broker-1.example_x.com", 65535),
        ("[::1]:9092", "::1", 9092),
        ("[fe80::1%eth0]:9092", "fe80::1%eth0", 9092),
        ("2001:db8::5:9092", "2001:db8::5", 9092),
        ("PLAINTEXT://kafka:9092", "kafka", 9092),
        ("plaintext://[::1]:9092", "::1", 9092),
    ] {
        assert_eq!(servers(text), [(host.to_owned(), port)], "{text}");
    }
}

#[test]
fn duplicates_are_dropped_and_the_order_stays() {
    let list = servers("b:2, a:1,B:2 ,a:2,a:1, PLAINTEXT://a:1");
    assert_eq!(list, [("b".to_owned(), 2), ("a".to_owned(), 1), ("a".to_owned(), 2)]);
}

#[test]
fn each_error_names_its_entry() {
    for (text, says) in [
        ("a:1,kafka", "kafka"),
        ("a:1,b:", "b:"),
        ("a:1,b:0", "b:0"),
        ("b:65536", "b:65536"),
        ("b:+1", "b:+1"),
        ("b:-1", "b:-1"),
        (":9092", ":9092"),
        ("[::1]", "[::1]"),
        ("[::1:9092", "[::1:9092"),
        ("[]:9092", "[]:9092"),
        ("a b:9092", "a b:9092"),
        ("bücher:9092", "bücher:9092"),
        ("http://a:9092", "http://a:9092"),
        ("a:1,,b:2", "entry 2"),
        ("a:1,", "entry 2"),
        ("embedded:0", "embedded:0"),
        ("embedded:10", "embedded:10"),
        ("embedded:", "embedded:"),
        ("embedded:x", "embedded:x"),
        ("embedded:3,a:1", "embedded:3"),
        ("a:1,embedded:3", "embedded:3"),
        ("embedded:3,embedded:3", "embedded:3"),
    ] {
        let refusal = parse(text).expect_err(text);
        assert_eq!(refusal.code, Code::INVALID_ARGUMENT, "{text}");
        assert!(refusal.why.contains(says), "{text}: {}", refusal.why);
    }
    for text in ["SSL://a:1", "sasl_ssl://a:1", "SASL_PLAINTEXT://a:1"] {
        assert_eq!(parse(text).expect_err(text).code, Code::UNSUPPORTED);
    }
}

#[test]
fn the_embedded_cluster_has_1_to_9_brokers() {
    for count in 1..=9 {
        assert_eq!(parse(&format!("embedded:{count}")).unwrap(), Bootstrap::Embedded(count));
    }
}

#[test]
fn the_list_is_bounded() {
    let list = |count: usize| (0..count).map(|index| format!("h{index}:1")).collect::<Vec<_>>().join(",");
    assert_eq!(servers(&list(MAX)).len(), MAX);
    assert!(parse(&list(MAX + 1)).expect_err("too many").why.contains("1000"));
    assert!(parse(&format!("{}:1:x", "h".repeat(10_000))).expect_err("long").why.len() < 200);
}
