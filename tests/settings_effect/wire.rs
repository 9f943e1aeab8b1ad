//! Settings that a broker reads in the requests, or that change which requests there are.

use kurier::code::{Code, Outcome};
use kurier::producer::{Delivery, Timeout};
use kurier::protocol::messages::ApiKey;

use crate::tap::{Asked, Tap};
use crate::world::{NEVER, cluster, command, deliveries, eventually, headers, ms, producer, producer_at};
use crate::world::{send, send_wait, values};

/// What a producer with these settings asks to get one record written, and what it is told.
fn asked(settings: &[(&str, &str)]) -> (Vec<Asked>, Delivery) {
    let cluster = cluster(1, &["create t 1"]);
    let tap = Tap::before(&cluster);
    let producer = producer_at(&tap.address, settings);
    let delivery = send_wait(&producer, "t", 0);
    assert_eq!(delivery.code, Code::OK.0, "{settings:?}");
    eventually("the record is there", || values(&cluster, "t").len() == 1);
    (tap.asked(), delivery)
}

fn of_produce(asked: &[Asked]) -> Vec<&Asked> {
    asked.iter().filter(|asked| asked.api == ApiKey::Produce as i16).collect()
}

pub(crate) fn bootstrap_servers() {
    let (one, other) = (cluster(1, &[]), cluster(1, &[]));
    let producer_of_other = producer(&other, &[]);
    assert_eq!(send_wait(&producer_of_other, "t", 0).code, 0);
    assert_eq!((one.records("t").len(), other.records("t").len()), (0, 1));
    // The first of the list may be gone.
    let addresses = format!("{},{}", other.address(), one.address());
    command(&other, "stop 1");
    assert_eq!(send_wait(&producer_at(&addresses, &[]), "t", 0).code, 0);
    assert_eq!(one.records("t").len(), 1);
    let embedded = producer_at("embedded:2", &[]);
    assert_eq!((send_wait(&embedded, "t", 0).code, one.records("t").len()), (0, 1));
}

pub(crate) fn client_id() {
    for name in ["payments-7", "kurier"] {
        let settings: &[_] = if name == "kurier" { &[] } else { &[("client.id", name)] };
        let (asked, _) = asked(settings);
        assert!(asked.len() >= 4, "versions, metadata, identity, produce: {asked:?}");
        assert!(asked.iter().all(|asked| asked.client_id == name), "{name}: {asked:?}");
    }
}

pub(crate) fn acks() {
    for (value, number, outcome, offset) in
        [("all", -1, Outcome::Written, 0), ("1", 1, Outcome::Written, 0), ("0", 0, Outcome::Unknown, -1)]
    {
        let (asked, delivery) =
            asked(&[("acks", value), ("enable.idempotence", if number < 0 { "true" } else { "false" })]);
        assert!(of_produce(&asked).iter().all(|asked| asked.acks == number), "acks={value}: {asked:?}");
        assert_eq!((delivery.outcome, delivery.offset), (outcome as u8, offset), "acks={value}");
    }
}

pub(crate) fn enable_idempotence() {
    for (value, copies) in [("true", 1), ("false", 2)] {
        let cluster = cluster(1, &["create t 1", "drop 1"]);
        let producer = producer(&cluster, &[("enable.idempotence", value)]);
        let delivery = send_wait(&producer, "t", 0);
        assert_eq!((delivery.code, delivery.attempts), (0, 2), "enable.idempotence={value}");
        assert_eq!(values(&cluster, "t").len(), copies, "the answer was lost, enable.idempotence={value}");
        let has_id = headers(&cluster, "t", 0).iter().all(|header| header.producer_id >= 0);
        assert_eq!(has_id, value == "true");
    }
}

pub(crate) fn max_in_flight() {
    // Above five only without idempotence; "max.in.flight" is librdkafka's name.
    for (name, count, idempotence) in [
        ("max.in.flight.requests.per.connection", 1, "true"),
        ("max.in.flight.requests.per.connection", 5, "true"),
        ("max.in.flight", 8, "false"),
    ] {
        let cluster = cluster(1, &["create t 1"]);
        let (count_text, idle) = (count.to_string(), ("linger.ms", "0"));
        let settings = [(name, count_text.as_str()), ("enable.idempotence", idempotence), ("batch.size", "0"), idle];
        let producer = producer(&cluster, &settings);
        // Before the first success of a leader there is only one.
        assert_eq!(send_wait(&producer, "t", 0).code, 0);
        command(&cluster, "mute produce");
        let before = cluster.requests(ApiKey::Produce);
        for number in 0..20 {
            send(&producer, "t", 0, number);
        }
        eventually("as many requests as may be in flight", || cluster.requests(ApiKey::Produce) >= before + count);
        assert!(producer.flush(ms(200)).is_err(), "nothing is answered");
        assert_eq!(cluster.requests(ApiKey::Produce), before + count, "{name}={count}");
        assert_eq!(producer.purge(true, true), Ok(20));
    }
}

pub(crate) fn request_timeout() {
    let cluster = cluster(1, &["create t 1", "mute produce"]);
    let patient = producer(&cluster, &[("request.timeout.ms", NEVER)]);
    send(&patient, "t", 0, 1);
    eventually("the patient one asks", || cluster.requests(ApiKey::Produce) == 1);
    let hasty = producer(&cluster, &[("request.timeout.ms", "100"), ("enable.idempotence", "true")]);
    send(&hasty, "t", 0, 2);
    eventually("the hasty one asks again", || cluster.requests(ApiKey::Produce) >= 4);
    command(&cluster, "reset");
    let delivery = deliveries(&hasty, 1)[0];
    assert_eq!(delivery.code, 0);
    assert!(delivery.attempts >= 3, "{delivery:?}");
    assert_eq!((patient.pending(), values(&cluster, "t").len()), (1, 2), "it waits for the answer that will not come");
    for (value, told) in [("1234", 1234), ("30000", 30_000)] {
        let (asked, _) = asked(&[("request.timeout.ms", value)]);
        assert!(of_produce(&asked).iter().all(|asked| asked.timeout_ms == told), "{asked:?}");
    }
}

pub(crate) fn metadata_max_age() {
    let (young, old) = (cluster(1, &["create t 1"]), cluster(1, &["create t 1"]));
    let often = producer(&young, &[("metadata.max.age.ms", "20")]);
    let seldom = producer(&old, &[("topic.metadata.refresh.interval.ms", NEVER)]);
    for producer in [&often, &seldom] {
        assert_eq!(send_wait(producer, "t", 0).code, 0);
    }
    let before = old.requests(ApiKey::Metadata);
    eventually("metadata is asked for again and again", || young.requests(ApiKey::Metadata) > 20);
    assert_eq!(old.requests(ApiKey::Metadata), before, "nothing failed, so nothing is asked");
}

/// KIP-526: what nobody uses is not asked for any more. The smallest value is five seconds.
pub(crate) fn metadata_max_idle() {
    let (short, long) = (cluster(1, &["create t 1"]), cluster(1, &["create t 1"]));
    let settings = |idle| [("metadata.max.age.ms", "20"), ("metadata.max.idle.ms", idle)];
    let (forgetful, faithful) = (producer(&short, &settings("5000")), producer(&long, &settings(NEVER)));
    for producer in [&forgetful, &faithful] {
        assert_eq!(send_wait(producer, "t", 0).code, 0);
    }
    let mut last = (0, 0);
    eventually("one asks no more while the other does", || {
        let now = (short.requests(ApiKey::Metadata), long.requests(ApiKey::Metadata));
        if now.0 != last.0 {
            last = now;
        }
        now.1 > last.1 + 30
    });
    assert!(last.0 > 5, "it asked while it was used: {last:?}");
    // Used again it is asked for again.
    let known = short.requests(ApiKey::Metadata);
    assert_eq!(send_wait(&forgetful, "t", 0).code, 0);
    eventually("it is asked for again", || short.requests(ApiKey::Metadata) > known);
}

pub(crate) fn allow_auto_create_topics() {
    let cluster = cluster(1, &[]);
    let producer_of = |value| producer(&cluster, &[("allow.auto.create.topics", value), ("max.block.ms", "300")]);
    let (careful, creative) = (producer_of("false"), producer_of("true"));
    let error = careful.partition_count(careful.topic("t").expect("a name"), Timeout::Default).expect_err("none");
    assert_eq!(error.code, Code::UNKNOWN_TOPIC);
    assert!(error.message.contains('t') && error.broker_code == 3, "{error}");
    assert!(cluster.leaders("t").is_empty());
    let topic = creative.topic("t").expect("a name");
    let count = creative.partition_count(topic, Timeout::Of(crate::world::PATIENCE));
    assert_eq!(count, Ok(4));
}
