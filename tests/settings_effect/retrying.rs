//! Settings that decide how often and how long something is tried again.

use kurier::code::{Code, Outcome};
use kurier::producer::Timeout;
use kurier::protocol::messages::ApiKey;

use crate::world::{NEVER, PATIENCE, cluster, command, deliveries, eventually, ms, producer, send, send_wait, values};

const AT_ONCE: [(&str, &str); 2] = [("retry.backoff.ms", "1"), ("retry.backoff.max.ms", "1")];

pub(crate) fn retries() {
    for (name, retries, failures, code, attempts) in [
        ("retries", "0", 0, Code::OK, 1),
        ("retries", "0", 1, Code::REJECTED, 1),
        ("retries", "1", 1, Code::OK, 2),
        ("message.send.max.retries", "1", 2, Code::REJECTED, 2),
        ("retries", "7", 7, Code::OK, 8),
        ("retries", "7", 8, Code::REJECTED, 8),
    ] {
        let commands = ["create t 1".to_owned(), format!("fail produce NOT_LEADER_OR_FOLLOWER {failures}")];
        let commands = if failures == 0 { &commands[..1] } else { &commands[..] };
        let cluster = cluster(1, &commands.iter().map(String::as_str).collect::<Vec<_>>());
        let settings = [&AT_ONCE[..], &[(name, retries), ("enable.idempotence", "false")]].concat();
        let delivery = send_wait(&producer(&cluster, &settings), "t", 0);
        let row = format!("{name}={retries}, {failures} failures: {delivery:?}");
        assert_eq!((delivery.code, delivery.attempts), (code.0, attempts), "{row}");
        assert_eq!(values(&cluster, "t").len(), usize::from(code == Code::OK), "{row}");
        assert_eq!(delivery.broker_code, if code == Code::OK { 0 } else { 6 }, "{row}");
    }
}

pub(crate) fn retry_backoff() {
    let at_once = cluster(1, &["create t 1", "fail produce NOT_LEADER_OR_FOLLOWER 1"]);
    let delivery = send_wait(&producer(&at_once, &AT_ONCE), "t", 0);
    assert_eq!((delivery.code, delivery.attempts), (0, 2));
    let never = cluster(1, &["create t 1", "fail produce NOT_LEADER_OR_FOLLOWER 1"]);
    let producer = producer(&never, &[("retry.backoff.ms", NEVER), ("delivery.timeout.ms", NEVER)]);
    send(&producer, "t", 0, 1);
    eventually("it is refused once", || never.requests(ApiKey::Produce) == 1);
    assert_eq!(producer.flush(ms(400)).map_err(|error| error.code), Err(Code::TIMED_OUT));
    assert_eq!(never.requests(ApiKey::Produce), 1, "the next time is far away");
}

/// KIP-580: it doubles, so twenty failures would take six days without a largest time.
pub(crate) fn retry_backoff_max() {
    let failing = || cluster(1, &["create t 1", "fail produce NOT_LEADER_OR_FOLLOWER 20"]);
    let (bounded, doubling) = (failing(), failing());
    let settings = |max| [("retry.backoff.ms", "1"), ("retry.backoff.max.ms", max), ("delivery.timeout.ms", NEVER)];
    let delivery = send_wait(&producer(&bounded, &settings("1")), "t", 0);
    assert_eq!((delivery.code, delivery.attempts), (0, 21));
    let producer = producer(&doubling, &settings(NEVER));
    send(&producer, "t", 0, 1);
    assert_eq!(producer.flush(ms(400)).map_err(|error| error.code), Err(Code::TIMED_OUT));
    let tried = doubling.requests(ApiKey::Produce);
    assert!((1..14).contains(&tried), "{tried} times within 2^{tried} ms");
}

pub(crate) fn delivery_timeout() {
    // "message.timeout.ms" is librdkafka's name.
    for name in ["delivery.timeout.ms", "message.timeout.ms"] {
        let cluster = cluster(1, &["create t 1", "fail produce NOT_LEADER_OR_FOLLOWER 1000000"]);
        let hasty = producer(&cluster, &[(name, "200")]);
        let patient = producer(&cluster, &[(name, NEVER)]);
        for producer in [&hasty, &patient] {
            send(producer, "t", 0, 1);
        }
        let delivery = deliveries(&hasty, 1)[0];
        assert_eq!((delivery.code, delivery.broker_code), (Code::TIMED_OUT.0, 6), "the last that stood in the way");
        assert_eq!(delivery.outcome, Outcome::Unknown as u8, "a refusal with 6 may follow an append: {delivery:?}");
        assert_eq!(patient.pending(), 1, "it goes on");
    }
    // It is what flush and close wait for.
    let cluster = cluster(1, &["create t 1", "mute produce"]);
    let producer = producer(&cluster, &[("delivery.timeout.ms", "200"), ("request.timeout.ms", "190")]);
    send(&producer, "t", 0, 1);
    let _ = producer.flush(Timeout::Default);
    assert_eq!(deliveries(&producer, 1)[0].code, Code::TIMED_OUT.0);
    assert_eq!(producer.flush(Timeout::Of(PATIENCE)), Ok(()));
}

/// Two batches are written and their answers lost, the broker remembers only the second, and it must not be asked.
pub(crate) fn unknown_outcome() {
    for (setting, outcome, log) in [
        (None, Outcome::Unknown, &["0", "1", "2"][..]),
        (Some("report"), Outcome::Unknown, &["0", "1", "2"]),
        (Some("resend"), Outcome::Written, &["0", "1", "2", "1", "2"]),
    ] {
        let cluster = cluster(1, &["create t 1"]);
        let settings = setting.map(|value| ("unknown.outcome", value));
        let settings: Vec<_> =
            settings.into_iter().chain([("linger.ms", "0"), ("request.timeout.ms", "1500")]).collect();
        let producer = producer(&cluster, &settings);
        send(&producer, "t", 0, 0);
        assert_eq!(deliveries(&producer, 1)[0].outcome, Outcome::Written as u8);
        command(&cluster, "mute produce");
        for number in [1, 2] {
            send(&producer, "t", 0, number);
            eventually("it is written", || values(&cluster, "t").len() == number as usize + 1);
        }
        for text in ["forget_but_last", "reset", "fail describe_producers TOPIC_AUTHORIZATION_FAILED 100"] {
            command(&cluster, text);
        }
        let outcomes: Vec<_> = deliveries(&producer, 2).iter().map(|delivery| delivery.outcome).collect();
        assert_eq!(outcomes, [outcome as u8; 2], "{setting:?}");
        assert_eq!(values(&cluster, "t"), log, "{setting:?}");
    }
}
