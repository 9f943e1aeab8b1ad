//! Text, bytes and single values on their way through the boundary.

use std::ffi::{CStr, c_char, c_void};

use crate::code::{Code, Error};

use super::guard::Failure;

/// Bytes of the caller: `None` is null, which has no size.
///
/// # Safety
/// `pointer` is NULL or points to `size` bytes that stay for `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const c_void, size: usize) -> Result<Option<&'a [u8]>, Code> {
    if pointer.is_null() {
        return if size == 0 { Ok(None) } else { Err(Code::INVALID_ARGUMENT) };
    }
    if i32::try_from(size).is_err() {
        return Err(Code::RECORD_TOO_LARGE);
    }
    // SAFETY: not NULL; the size is the caller's promise, and below `isize::MAX`.
    Ok(Some(unsafe { std::slice::from_raw_parts(pointer.cast(), size) }))
}

/// Text of the caller with its size.
///
/// # Safety
/// As [`bytes`].
pub(super) unsafe fn sized<'a>(pointer: *const c_char, size: usize) -> Result<&'a str, Code> {
    if pointer.is_null() {
        return Err(Code::NULL_POINTER);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { bytes(pointer.cast(), size) }.map_err(|_| Code::INVALID_ARGUMENT)?;
    str::from_utf8(text.unwrap_or_default()).map_err(|_| Code::INVALID_ARGUMENT)
}

/// Text of the caller with a NUL at its end.
///
/// # Safety
/// `pointer` is NULL or points to bytes that end with NUL and stay for `'a`.
pub(super) unsafe fn terminated<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(Error::new(Code::NULL_POINTER, format!("The {what} is NULL.")).into());
    }
    // SAFETY: not NULL; the end is the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Error::new(Code::INVALID_ARGUMENT, format!("The {what} is not UTF-8.")).into())
}

/// Writes text as `snprintf` does: as much as fits, a NUL always. It is cut between characters.
///
/// # Safety
/// `buffer` points to `capacity` bytes.
pub(super) unsafe fn write(buffer: *mut c_char, capacity: usize, text: &str) {
    let Some(room) = capacity.checked_sub(1) else { return };
    let text = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
    // SAFETY: at most `capacity - 1` bytes, and memory of the caller's cannot overlap with ours.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len()) };
    // SAFETY: the byte after them is the last one of the buffer, or before it.
    unsafe { buffer.add(text.len()).write(0) };
}

/// Rule 12: the text into a buffer, the size of the whole into `size`.
///
/// # Safety
/// `buffer` is NULL or points to `capacity` bytes; `size` is NULL or points to a `size_t`.
pub(super) unsafe fn answer(buffer: *mut c_char, capacity: usize, size: *mut usize, text: &str) -> Result<(), Code> {
    if buffer.is_null() && capacity != 0 {
        return Err(Code::NULL_POINTER);
    }
    // SAFETY: the caller's promise.
    unsafe { put(size, text.len()) }?;
    // SAFETY: with a capacity of 0 nothing is written, else it is not NULL.
    unsafe { write(buffer, capacity, text) };
    Ok(())
}

/// Writes one required output.
///
/// # Safety
/// `output` is NULL or points to a `T`, which need not be aligned.
pub(super) unsafe fn put<T>(output: *mut T, value: T) -> Result<(), Code> {
    if output.is_null() {
        return Err(Code::NULL_POINTER);
    }
    // SAFETY: not NULL.
    unsafe { output.write_unaligned(value) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(capacity: usize, text: &str) -> Vec<u8> {
        let mut buffer = [0x7fu8; 16];
        // SAFETY: not larger than the array.
        unsafe { write(buffer.as_mut_ptr().cast(), capacity, text) };
        buffer.to_vec()
    }

    #[test]
    fn text_is_cut_as_snprintf_does_but_between_characters() {
        assert_eq!(written(0, "abc")[..2], [0x7f, 0x7f]);
        assert_eq!(written(1, "abc")[..2], [0, 0x7f]);
        assert_eq!(&written(3, "abc")[..4], b"ab\0\x7f");
        assert_eq!(&written(4, "abc")[..5], b"abc\0\x7f");
        assert_eq!(&written(4, "aéé")[..5], b"a\xc3\xa9\0\x7f");
        assert_eq!(&written(5, "aéé")[..5], b"a\xc3\xa9\0\x7f");
    }

    #[test]
    fn the_size_is_that_of_the_whole() {
        let (mut buffer, mut size) = ([0u8; 3], 0);
        let at = buffer.as_mut_ptr().cast();
        // SAFETY: pointers into this frame, or NULL.
        unsafe {
            assert_eq!(answer(std::ptr::null_mut(), 0, &raw mut size, "abcdef"), Ok(()));
            assert_eq!(size, 6);
            assert_eq!(answer(at, 3, &raw mut size, "abcd"), Ok(()));
            assert_eq!((size, &buffer), (4, b"ab\0"));
            assert_eq!(answer(std::ptr::null_mut(), 3, &raw mut size, "abcd"), Err(Code::NULL_POINTER));
            assert_eq!(answer(at, 3, std::ptr::null_mut(), "abcd"), Err(Code::NULL_POINTER));
        }
    }

    #[test]
    fn null_empty_and_too_large() {
        let byte = [1u8];
        let at = byte.as_ptr().cast();
        // SAFETY: sizes beyond the array are refused before anything is read.
        unsafe {
            assert_eq!(bytes(std::ptr::null(), 0), Ok(None));
            assert_eq!(bytes(std::ptr::null(), 1), Err(Code::INVALID_ARGUMENT));
            assert_eq!(bytes(at, 0), Ok(Some(&[][..])));
            assert_eq!(bytes(at, 1), Ok(Some(&[1][..])));
            assert_eq!(bytes(at, 1 << 31), Err(Code::RECORD_TOO_LARGE));
            assert_eq!(bytes(at, usize::MAX), Err(Code::RECORD_TOO_LARGE));
            assert_eq!(sized(std::ptr::null(), 0), Err(Code::NULL_POINTER));
            assert_eq!(sized(b"\xff".as_ptr().cast(), 1), Err(Code::INVALID_ARGUMENT));
        }
    }
}
