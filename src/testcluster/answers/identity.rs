//! Who is who: the versions that the broker speaks, and ids for producers.

use super::Reply;
use crate::protocol::broker_code::{
    INVALID_PRODUCER_EPOCH, INVALID_REQUEST, PRODUCER_FENCED, UNKNOWN_SERVER_ERROR, UNSUPPORTED_VERSION,
};
use crate::protocol::messages::ApiKey;
use crate::protocol::messages::api_versions::{ApiRange, ApiVersionsRequest, ApiVersionsResponse};
use crate::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use crate::protocol::wire::Reader;
use crate::testcluster::connection::Request;
use crate::testcluster::state::State;

/// How many transactional ids the cluster knows.
const TRANSACTIONAL_IDS_MAX: usize = 10_000;
/// The last epoch is left for the broker, which fences with it.
const EPOCH_MAX: i16 = i16::MAX - 1;

pub(super) fn api_versions(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    let Ok(asked) = ApiVersionsRequest::decode(request.version, reader) else { return Reply::Close };
    let mut state = request.shared.state.lock();
    let failure = state.faults.fail(request.api_index, &[("", None)]).pop().flatten();
    let names_are_legal =
        is_software_name(&asked.client_software_name) && is_software_name(&asked.client_software_version);
    let error_code = match failure {
        Some(failure) => failure.code,
        None if request.version >= 3 && !names_are_legal => INVALID_REQUEST,
        None => 0,
    };
    let ranges = state.ranges.iter();
    let api_keys = ranges
        .filter(|_| error_code == 0)
        .map(|(api, min_version, max_version)| ApiRange { api_key: api as i16, min_version, max_version })
        .collect();
    let throttle_time_ms = request.plan.throttle_ms;
    let response = ApiVersionsResponse { error_code, api_keys, throttle_time_ms, ..ApiVersionsResponse::default() };
    drop(state);
    request.reply(|version, writer| response.encode(version, writer))
}

/// The answer to a version that is not offered: in version 0, with the one range that the asker needs (KIP-511).
pub(in crate::testcluster) fn unsupported_api_versions(request: &Request<'_>) -> Reply {
    let (min_version, max_version) = request.shared.state.lock().ranges.of(request.api_index);
    let range = ApiRange { api_key: ApiKey::ApiVersions as i16, min_version, max_version };
    let response = ApiVersionsResponse {
        error_code: UNSUPPORTED_VERSION,
        api_keys: vec![range],
        ..ApiVersionsResponse::default()
    };
    request.reply_in(0, |version, writer| response.encode(version, writer))
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (KIP-511).
fn is_software_name(name: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

pub(super) fn init_producer_id(request: &Request<'_>, reader: &mut Reader<'_>) -> Reply {
    let Ok(asked) = InitProducerIdRequest::decode(request.version, reader) else { return Reply::Close };
    let mut state = request.shared.state.lock();
    let failure = state.faults.fail(request.api_index, &[("", None)]).pop().flatten();
    let given = match failure {
        Some(failure) => Err(failure.code),
        None => identity(&mut state, &asked, request.version),
    };
    drop(state);
    let (error_code, producer_id, producer_epoch) = match given {
        Ok((producer_id, producer_epoch)) => (0, producer_id, producer_epoch),
        Err(code) => (code, -1, -1),
    };
    let throttle_time_ms = request.plan.throttle_ms;
    let response = InitProducerIdResponse { throttle_time_ms, error_code, producer_id, producer_epoch };
    request.reply(|version, writer| response.encode(version, writer))
}

/// Without a transactional id a broker gives a new producer id, whatever the request says of a current one
/// (`TransactionCoordinator.handleInitProducerId`). With one, the epoch is bumped (KIP-360).
fn identity(state: &mut State, asked: &InitProducerIdRequest, version: i16) -> Result<(i64, i16), i16> {
    let Some(transactional_id) = &asked.transactional_id else { return Ok((state.new_producer_id(), 0)) };
    if transactional_id.is_empty() {
        return Err(INVALID_REQUEST);
    }
    let known = state.transactional.get(transactional_id).copied();
    if known.is_none() && state.transactional.len() >= TRANSACTIONAL_IDS_MAX {
        return Err(UNKNOWN_SERVER_ERROR);
    }
    let current = (asked.producer_id, asked.producer_epoch);
    let given = match known {
        Some(known) if asked.producer_id != -1 && known != current => {
            return Err(if version >= 4 { PRODUCER_FENCED } else { INVALID_PRODUCER_EPOCH });
        }
        Some((producer_id, epoch)) if epoch < EPOCH_MAX => (producer_id, epoch + 1),
        _ => (state.new_producer_id(), 0),
    };
    state.transactional.insert(transactional_id.clone(), given);
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        state: &mut State,
        transactional_id: Option<&str>,
        producer_id: i64,
        producer_epoch: i16,
    ) -> Result<(i64, i16), i16> {
        let transactional_id = transactional_id.map(str::to_owned);
        let asked = InitProducerIdRequest { transactional_id, transaction_timeout_ms: 1, producer_id, producer_epoch };
        identity(state, &asked, 4)
    }

    #[test]
    fn ids_are_new_and_epochs_go_on() {
        let mut state = State::new(&[1]);
        let (first, second) = (ask(&mut state, None, -1, -1), ask(&mut state, None, 1000, 0));
        assert_eq!((first, second), (Ok((1000, 0)), Ok((1001, 0))));
        assert_eq!(ask(&mut state, Some("t"), -1, -1), Ok((1002, 0)));
        assert_eq!(ask(&mut state, Some("t"), -1, -1), Ok((1002, 1)));
        assert_eq!(ask(&mut state, Some("t"), 1002, 1), Ok((1002, 2)));
        assert_eq!(ask(&mut state, Some("t"), 1002, 1), Err(PRODUCER_FENCED));
        state.transactional.insert("t".into(), (1002, EPOCH_MAX));
        assert_eq!(ask(&mut state, Some("t"), 1002, EPOCH_MAX), Ok((1003, 0)));
        assert_eq!(state.producer_ids(), 1000..1004);
    }

    #[test]
    fn software_names_are_checked() {
        for name in ["kurier", "a", "a-b.c9"] {
            assert!(is_software_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "a b", "a/b", "ä"] {
            assert!(!is_software_name(name), "{name}");
        }
    }
}
