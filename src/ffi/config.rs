//! Settings: a `kurier_config` and what is set on it.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::code::{Code, Error};
use crate::producer::Config;

use super::guard::{self, Opaque, exclusive, guard, guard_error, guard_value, shared};
use super::text;
use super::types::{
    kurier_code, kurier_config, kurier_delivery_callback, kurier_error, kurier_log_callback, kurier_partitioner,
    kurier_ready_callback, kurier_serializer,
};

impl Opaque for kurier_config {
    type Body = Config;
    const MAGIC: u64 = u64::from_be_bytes(*b"kurconf1");
}

/// What the application wants to get back in a callback.
#[derive(Clone, Copy)]
struct Userdata(*mut c_void);

// SAFETY: the library never looks behind it; the header says on which threads the callback gets it.
unsafe impl Send for Userdata {}
// SAFETY: as above.
unsafe impl Sync for Userdata {}

impl Userdata {
    /// A method, so that a closure captures the whole and not the bare pointer, which is not `Send`.
    fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// Pointer and size of bytes that may be null.
fn parts(bytes: Option<&[u8]>) -> (*const c_void, usize) {
    bytes.map_or((std::ptr::null(), 0), |bytes| (bytes.as_ptr().cast(), bytes.len()))
}

/// New settings with Kafka's defaults; NULL if there is no memory. Ends with kurier_config_destroy.
#[unsafe(no_mangle)]
pub extern "C" fn kurier_config_new() -> *mut kurier_config {
    guard_value(std::ptr::null_mut(), || guard::create(Config::new()).unwrap_or(std::ptr::null_mut()))
}

/// Frees settings; NULL is fine. Producers made of them are not concerned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_destroy(config: *mut kurier_config) {
    // SAFETY: rule 5.
    guard_value((), || unsafe { guard::destroy(config) });
}

/// Sets one setting, by Kafka's name. A name or a value that cannot be honoured is INVALID_ARGUMENT or UNSUPPORTED; the
/// message names it, what is allowed and the nearest known name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_set(
    config: *mut kurier_config,
    name: *const c_char,
    value: *const c_char,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        // SAFETY: rule 12.
        let name = unsafe { text::terminated(name, "setting's name") }?;
        // SAFETY: rule 12.
        let value = unsafe { text::terminated(value, "setting's value") }?;
        Ok(config.set(name, value)?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

fn too_large(_: Code) -> Error {
    Error::new(Code::INVALID_ARGUMENT, "The text has more than 2147483647 bytes.")
}

/// Sets everything that a .properties text in UTF-8 says: all of it or nothing. The message has the line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_load(
    config: *mut kurier_config,
    text: *const c_char,
    size: usize,
    error: *mut kurier_error,
) -> kurier_code {
    let body = || {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        if text.is_null() {
            return Err(Error::new(Code::NULL_POINTER, "The text is NULL.").into());
        }
        // SAFETY: rule 12.
        let text = unsafe { text::bytes(text.cast(), size) }.map_err(too_large)?;
        Ok(config.load(text.unwrap_or_default())?)
    };
    // SAFETY: rule 10.
    unsafe { guard_error(error, body) }
}

/// The value of a setting as text, its default if it was not set, `[redacted]` if it is a secret. Buffer, capacity
/// and size: rule 12. INVALID_ARGUMENT: no such setting.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_get(
    config: *const kurier_config,
    name: *const c_char,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> kurier_code {
    guard(|| {
        // SAFETY: an output is NULL or what its type says.
        unsafe { text::put(size, 0) }?;
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { shared(config) }?;
        // SAFETY: rule 12.
        let name = unsafe { text::terminated(name, "setting's name") }.map_err(|failure| failure.code())?;
        let value = config.get(name).map_err(|error| error.code)?;
        // SAFETY: rule 12.
        unsafe { text::answer(buffer, capacity, size, &value) }
    })
}

/// The name of the setting with this index, from 0; NULL after the last. Static.
#[unsafe(no_mangle)]
pub extern "C" fn kurier_config_name(index: usize) -> *const c_char {
    guard_value(std::ptr::null(), || Config::name(index).map_or(std::ptr::null(), std::ffi::CStr::as_ptr))
}

/// A partitioner of the application's own. NULL: the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_set_partitioner(
    config: *mut kurier_config,
    userdata: *mut c_void,
    partitioner: kurier_partitioner,
) -> kurier_code {
    guard(|| {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        let userdata = Userdata(userdata);
        config.partitioner = partitioner.map(|call| {
            Arc::new(move |topic: u32, key: Option<&[u8]>, partition_count: i32| {
                let (key, key_size) = parts(key);
                // SAFETY: the application vouches for its function and userdata; rule 7: it does not throw.
                unsafe { call(userdata.pointer(), topic, key, key_size, partition_count) }
            }) as _
        });
        Ok(())
    })
}

/// Makes keys of objects in kurier_producer_send_object. NULL: the one that `key.serializer` names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_set_key_serializer(
    config: *mut kurier_config,
    userdata: *mut c_void,
    serializer: kurier_serializer,
) -> kurier_code {
    guard(|| {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        config.key_serializer = wrap_serializer(userdata, serializer);
        Ok(())
    })
}

/// Makes values of objects in kurier_producer_send_object. NULL: the one that `value.serializer` names.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_set_value_serializer(
    config: *mut kurier_config,
    userdata: *mut c_void,
    serializer: kurier_serializer,
) -> kurier_code {
    guard(|| {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        config.value_serializer = wrap_serializer(userdata, serializer);
        Ok(())
    })
}

fn wrap_serializer(userdata: *mut c_void, serializer: kurier_serializer) -> Option<crate::producer::Serializer> {
    let userdata = Userdata(userdata);
    serializer.map(|call| {
        Arc::new(move |topic: u32, object: Option<&[u8]>, buffer: &mut [u8]| {
            let (object, object_size) = parts(object);
            let (buffer, capacity) = (buffer.as_mut_ptr().cast(), buffer.len());
            // SAFETY: the application vouches for its function and userdata; rule 7: it does not throw.
            unsafe { call(userdata.pointer(), topic, object, object_size, buffer, capacity) }
        }) as _
    })
}

/// Has deliveries handed over by a thread of the library's; poll then answers WRONG_STATE. NULL: they are polled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_set_delivery_callback(
    config: *mut kurier_config,
    userdata: *mut c_void,
    callback: kurier_delivery_callback,
) -> kurier_code {
    guard(|| {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        let userdata = Userdata(userdata);
        config.delivery_callback = callback.map(|call| {
            Arc::new(move |deliveries: &[crate::producer::Delivery]| {
                // SAFETY: as above; both delivery types are one layout (`types.rs` checks it).
                unsafe { call(userdata.pointer(), deliveries.as_ptr().cast(), deliveries.len()) };
            }) as _
        });
        Ok(())
    })
}

/// Has the application told that poll would return at once; only without a delivery callback. NULL: it is not told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_set_ready_callback(
    config: *mut kurier_config,
    userdata: *mut c_void,
    callback: kurier_ready_callback,
) -> kurier_code {
    guard(|| {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        let userdata = Userdata(userdata);
        config.ready_callback = callback.map(|call| {
            Arc::new(move || {
                // SAFETY: the application vouches for its function and userdata; rule 7: it does not throw.
                unsafe { call(userdata.pointer()) };
            }) as _
        });
        Ok(())
    })
}

/// Has the application told what happens, line by line. NULL: nothing is written anywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kurier_config_set_log_callback(
    config: *mut kurier_config,
    userdata: *mut c_void,
    callback: kurier_log_callback,
) -> kurier_code {
    guard(|| {
        // SAFETY: a config is used by one thread at a time.
        let config = unsafe { exclusive(config) }?;
        let userdata = Userdata(userdata);
        let wrapped: Option<crate::producer::LogCallback> = match callback {
            Some(call) => Some(Arc::new(move |level, text| {
                // SAFETY: the application vouches for its function and userdata; rule 7: it does not throw.
                unsafe { call(userdata.pointer(), level as i32, text.as_ptr().cast(), text.len()) };
            })),
            None => None,
        };
        config.log_callback = wrapped;
        Ok(())
    })
}
