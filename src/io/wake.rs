//! The one place where a network thread waits: its socket, its wake handle, a deadline in nanoseconds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Makes a wait return. Level-triggered until [`Wake::clear`].
#[derive(Clone)]
pub(super) struct Wake(Arc<handle::Handle>);

#[cfg(target_os = "linux")]
mod handle {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::OwnedFd;
    use std::io;

    pub(super) struct Handle(pub(super) OwnedFd);

    impl Handle {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
        }
        pub(super) fn set(&self) {
            // Full means that it is set already.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }
        pub(super) fn clear(&self) {
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod handle {
    use std::io;
    use std::net::UdpSocket;

    /// A socket that sends to itself: every system has it, and every poll takes it.
    pub(super) struct Handle(pub(super) UdpSocket);

    impl Handle {
        pub(super) fn new() -> io::Result<Self> {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(socket.local_addr()?)?;
            socket.set_nonblocking(true)?;
            Ok(Self(socket))
        }
        pub(super) fn set(&self) {
            let _ = self.0.send(&[1]);
        }
        pub(super) fn clear(&self) {
            while self.0.recv(&mut [0; 8]).is_ok() {}
        }
    }
}

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(handle::Handle::new()?)))
    }

    /// From any thread.
    pub(super) fn set(&self) {
        self.0.set();
    }

    /// Waits until the socket can be read (or written, if `writable`), somebody calls [`Wake::set`], or the time is
    /// over (`None`: it never is). Errors count as readiness: the next read says what it is.
    pub(super) fn wait(&self, socket: Option<&socket2::Socket>, writable: bool, span: Option<Duration>) {
        let timeout = span.map(|span| Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(span.subsec_nanos()),
        });
        let handle = PollFd::new(&self.0.0, PollFlags::IN);
        let woken = if let Some(socket) = socket {
            let flags = if writable { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            let mut both = [handle, PollFd::new(socket, flags)];
            poll(&mut both, timeout.as_ref()).is_ok() && !both[0].revents().is_empty()
        } else {
            let mut one = [handle];
            poll(&mut one, timeout.as_ref()).is_ok() && !one[0].revents().is_empty()
        };
        if woken {
            self.0.clear();
        }
    }
}
