//! The embedded cluster: brokers in a box, for an application's own tests.

use std::ffi::c_char;

use crate::testcluster::Cluster;

use super::guard::{self, Opaque, guard, guard_error, guard_value, shared};
use super::text;
use super::types::{kurier_cluster, kurier_code, kurier_error};

impl Opaque for kurier_cluster {
    type Body = Cluster;
    const MAGIC: u64 = u64::from_be_bytes(*b"kurclus1");
}

/// Starts a cluster of 1 to 9 brokers on free ports of 127.0.0.1, in this process. It creates topics on first use, with
/// 4 partitions, and keeps the newest 64 MiB of each. `*cluster` is NULL on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_cluster_new(
    brokers: i32,
    cluster: *mut *mut kurier_cluster,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(cluster, std::ptr::null_mut()) }?;
        let handle = guard::create(Cluster::start(brokers)?)?;
        // SAFETY: as above.
        Ok(unsafe { text::put(cluster, handle) }?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// What to write into `bootstrap.servers` of any client. Buffer, capacity and size: rule 12.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_cluster_address(
    cluster: *const kurier_cluster,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> kurier_code {
    guard(|| {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(size, 0) }?;
        // SAFETY: rule 6 holds for a cluster too.
        let address = unsafe { shared(cluster) }?.address();
        // SAFETY: rule 12.
        unsafe { text::answer(buffer, capacity, size, &address) }
    })
}

/// Does something to the cluster: "create payments 6", "fail produce NOT_LEADER_OR_FOLLOWER 3", "delay 200ms",
/// "stop 2". INVALID_ARGUMENT: the message says what is understood.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_cluster_command(
    cluster: *mut kurier_cluster,
    command: *const c_char,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: rule 6 holds for a cluster too.
        let cluster = unsafe { shared(cluster) }?;
        // SAFETY: rule 12.
        Ok(cluster.command(unsafe { text::terminated(command, "command") }?)?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// Stops a cluster; NULL is fine. For producers it is the loss of every broker: the order of destroying is free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_cluster_destroy(cluster: *mut kurier_cluster) {
    // SAFETY: rule 6 holds for a cluster too.
    guard_value((), || unsafe { guard::destroy(cluster) });
}
