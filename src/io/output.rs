//! One request on its way out: it owns every byte it sends until the last one is written or the connection is dead
//! (KAFKA-19012: bytes that were freed and used again while they were being written went to wrong topics).

use crate::accumulator::{BATCH_HEADER_BYTES, Batch, Payload};
use crate::engine::Request;
use crate::protocol::batch_header::seal_crc;
use std::io::{self, IoSlice};

/// Pieces of one gathering write: below every system's limit (1024).
const SLICES_MAX: usize = 512;

pub(super) struct Output {
    frame: Vec<u8>,
    /// Where in the frame the batch's records go, and the records.
    batches: Vec<(usize, Payload)>,
    pub(super) correlation_id: i32,
    written: usize,
    bytes: usize,
}

impl Output {
    /// Takes the records' bytes and computes the checksums, which change with every attempt.
    pub(super) fn new(request: Request<Batch>) -> Self {
        let Request { mut frame, batches, correlation_id } = request;
        let batches: Vec<(usize, Payload)> = batches.into_iter().map(|(end, batch)| (end, batch.payload())).collect();
        for (end, payload) in &batches {
            let header = end.checked_sub(BATCH_HEADER_BYTES).and_then(|start| frame.get_mut(start..*end));
            let sealed = header.is_some_and(|header| seal_crc(header, payload.bytes()).is_ok());
            debug_assert!(sealed, "the engine says where the headers are");
        }
        let bytes = frame.len() + batches.iter().map(|(_, payload)| payload.bytes().len()).sum::<usize>();
        Self { frame, batches, correlation_id, written: 0, bytes }
    }

    /// Writes as much as goes. `Ok(true)`: all of it is out.
    pub(super) fn write(&mut self, write: &mut dyn FnMut(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<bool> {
        while self.written < self.bytes {
            let slices = self.slices();
            match write(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// What is still to be written, in order.
    fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut skip = self.written;
        let mut slices = Vec::with_capacity((2 * self.batches.len() + 1).min(SLICES_MAX));
        let mut from = 0;
        let pieces = self.batches.iter().flat_map(|(end, payload)| {
            let head = self.frame.get(from..*end).unwrap_or(&[]);
            from = *end;
            [head, payload.bytes()]
        });
        let tail_from = self.batches.last().map_or(0, |(end, _)| *end);
        let tail = self.frame.get(tail_from..).unwrap_or(&[]);
        for piece in pieces.chain([tail]) {
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            slices.push(IoSlice::new(piece.get(skip..).unwrap_or(&[])));
            skip = 0;
            if slices.len() == SLICES_MAX {
                break;
            }
        }
        slices
    }
}
