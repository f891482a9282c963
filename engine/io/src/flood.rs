//! A generator of datagrams and its sink, for benches: by the same calls as the data path.
//!
//! Each datagram begins with its number, so that the sink can tell which came too late.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use l2mesh_core::Endpoint;
use l2mesh_core::sink::{MAX_TRAIN, MAX_TRAIN_BYTES};

use crate::sys::{self, Message, Receiving, SEND_BATCH, Sending};

/// Datagrams of one receipt.
const SLOTS: usize = 64;
const SLOT_BYTES: usize = 65_536;
const NUMBER_BYTES: usize = 8;
/// Trains of one call.
const TRAINS: usize = 4;

/// Sends as fast as it can.
#[allow(missing_debug_implementations, reason = "a tool")]
pub struct Sender {
    socket: UdpSocket,
    endpoint: Endpoint,
    length: usize,
    /// Datagrams in one message.
    run: usize,
    memory: Vec<u8>,
    sending: Sending,
    next: u64,
}

impl Sender {
    /// Datagrams of `length` bytes, at least the 8 of their number.
    #[must_use]
    pub fn new(socket: UdpSocket, to: SocketAddr, length: usize) -> Self {
        Self::with_runs(socket, to, length, 1, SEND_BATCH)
    }

    /// Datagrams that leave in trains (`UDP_SEGMENT`), a few trains a call.
    #[must_use]
    pub fn of_trains(socket: UdpSocket, to: SocketAddr, length: usize) -> Self {
        let run = MAX_TRAIN.min(MAX_TRAIN_BYTES / length.max(NUMBER_BYTES));
        Self::with_runs(socket, to, length, run, TRAINS)
    }

    fn with_runs(
        socket: UdpSocket,
        to: SocketAddr,
        length: usize,
        run: usize,
        runs: usize,
    ) -> Self {
        let length = length.max(NUMBER_BYTES);
        let endpoint = Endpoint::new(to.ip(), to.port());
        let memory = vec![0; length * run * runs];
        Self { socket, endpoint, length, run, memory, sending: Sending::new(), next: 0 }
    }

    /// One call; a full queue is no error, what it refuses is not sent again.
    ///
    /// # Errors
    /// Of the socket.
    pub fn burst(&mut self) -> io::Result<()> {
        for (number, datagram) in (self.next..).zip(self.memory.chunks_mut(self.length)) {
            datagram[..NUMBER_BYTES].copy_from_slice(&number.to_be_bytes());
        }
        let endpoint = self.endpoint;
        let stride = if self.run > 1 { self.length } else { 0 };
        let messages = self.memory.chunks(self.length * self.run);
        let messages = messages.map(|bytes| Message { endpoint, bytes, stride });
        match self.sending.send(self.socket.as_raw_fd(), messages) {
            Ok(sent) => self.next += (sent * self.run) as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// How many left.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.next
    }
}

/// Counts what comes.
#[allow(missing_debug_implementations, reason = "a tool")]
pub struct Receiver {
    socket: UdpSocket,
    receiving: Receiving,
    count: u64,
    late: u64,
    newest: u64,
}

impl Receiver {
    /// With a large buffer and merged receipt.
    ///
    /// # Errors
    /// Of the socket.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let fd = socket.as_raw_fd();
        let _ = sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 * 1024 * 1024);
        sys::set_udp_gro(fd, true)?;
        let receiving = Receiving::new(SLOTS, SLOT_BYTES);
        Ok(Self { socket, receiving, count: 0, late: 0, newest: 0 })
    }

    /// Waits for the first one.
    ///
    /// # Errors
    /// Of the socket, or nothing has come for so long.
    pub fn wait(&mut self, longest: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(longest))?;
        self.socket.peek(&mut [0; NUMBER_BYTES]).map(drop)?;
        self.socket.set_read_timeout(Some(Duration::from_millis(10)))
    }

    /// One call; waits a moment when there is nothing.
    ///
    /// # Errors
    /// Of the socket.
    pub fn burst(&mut self) -> io::Result<()> {
        let filled = match self.receiving.receive(self.socket.as_raw_fd(), SLOTS) {
            Ok(filled) => filled,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = self.socket.peek(&mut [0; NUMBER_BYTES]);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for slot in 0..filled {
            let received = self.receiving.received(slot);
            let bytes = &self.receiving.slot(slot)[..received.length];
            for datagram in bytes.chunks(received.stride.max(1)) {
                let Some(number) = datagram.first_chunk() else { continue };
                let number = u64::from_be_bytes(*number);
                self.count += 1;
                self.late += u64::from(number < self.newest);
                self.newest = self.newest.max(number);
            }
        }
        Ok(())
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them behind a later one.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }
}
