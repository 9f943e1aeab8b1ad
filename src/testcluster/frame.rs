//! Requests as they come in: a length, then that many bytes, read into one buffer that is used again.

use std::io::{self, Read};

/// Larger requests close the connection.
const FRAME_BYTES_MAX: usize = 128 << 20;
/// What one read asks for while the length of the request is not known.
const READ_AHEAD: usize = 128 << 10;
/// A buffer that one large request has blown up beyond this shrinks again.
const BUFFER_BYTES_KEPT: usize = 4 << 20;
const LENGTH_BYTES: usize = 4;

/// Reads one request after the other.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    /// The next request without its length; `None` when the connection is over or its length is not possible.
    /// The bytes stay in the buffer: a large request is read to its end and not further, so nothing of the
    /// next one has to be moved.
    pub(super) fn next(&mut self, source: &mut impl Read) -> Option<&[u8]> {
        let bytes = self.fill_to(LENGTH_BYTES, READ_AHEAD, source)?;
        let length = i32::from_be_bytes(*bytes.first_chunk()?);
        let length = usize::try_from(length).ok().filter(|length| *length <= FRAME_BYTES_MAX)?;
        let frame = LENGTH_BYTES + length;
        self.fill_to(frame, frame, source)?;
        let from = self.start + LENGTH_BYTES;
        self.start += frame;
        self.buffer.get(from..self.start)
    }

    /// Reads until `wanted` bytes are there, and asks for `at_most` where there is a choice.
    fn fill_to(&mut self, wanted: usize, at_most: usize, source: &mut impl Read) -> Option<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > BUFFER_BYTES_KEPT && at_most <= BUFFER_BYTES_KEPT {
                self.buffer = Vec::new();
            }
        }
        if self.end - self.start < wanted && self.start + at_most > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < wanted {
            let limit = self.start + at_most;
            if self.buffer.len() < limit && self.buffer.len() == self.end {
                self.grow(limit);
            }
            let limit = limit.min(self.buffer.len());
            match source.read(self.buffer.get_mut(self.end..limit)?) {
                Ok(0) => return None,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        self.buffer.get(self.start..self.end)
    }

    /// Twice the bytes that have come, so that a length that is a lie costs no memory.
    fn grow(&mut self, limit: usize) {
        let bytes = (self.end * 2).max(READ_AHEAD).min(limit.max(READ_AHEAD));
        self.buffer.resize(bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most so many bytes per read.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            assert!(!into.is_empty(), "a read of nothing looks like the end");
            let count = self.1.min(into.len()).min(self.0.len());
            let (now, later) = self.0.split_at(count);
            into[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let frames: Vec<Vec<u8>> = [0, 1, 5, 70_000, 3, 300_000, 262_140, 2, 6_000_000, 9]
            .iter()
            .enumerate()
            .map(|(number, length)| vec![number as u8; *length])
            .collect();
        let mut wire = Vec::new();
        for frame in &frames {
            wire.extend_from_slice(&(frame.len() as i32).to_be_bytes());
            wire.extend_from_slice(frame);
        }
        for step in [1, 7, 4096, 65_536, usize::MAX] {
            let mut source = Drip(&wire, step);
            let mut reader = Frames::default();
            for frame in &frames {
                assert!(reader.next(&mut source) == Some(frame), "{} bytes by {step}", frame.len());
            }
            assert_eq!(reader.next(&mut source), None);
            assert!(reader.buffer.len() <= BUFFER_BYTES_KEPT, "the large frame left {}", reader.buffer.len());
        }
    }

    #[test]
    fn a_length_that_is_a_lie_ends_it_without_memory() {
        for length in [-1, i32::MIN, i32::MAX, (128 << 20) + 1] {
            let wire = length.to_be_bytes();
            assert_eq!(Frames::default().next(&mut Drip(&wire, 4)), None, "{length}");
        }
        let mut reader = Frames::default();
        let mut wire = (128i32 << 20).to_be_bytes().to_vec();
        wire.extend_from_slice(&[0; 1000]);
        assert_eq!(reader.next(&mut Drip(&wire, 100)), None);
        assert!(reader.buffer.len() < 1 << 20, "{} bytes for a request that did not come", reader.buffer.len());
    }
}
