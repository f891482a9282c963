//! The side door: datagrams whose endpoint is a stream (TLS over TCP), which the control plane
//! carries. They pass through a pair of connected Unix sockets, each with its endpoint before it:
//!
//! ```text
//!  0  16   IPv6 address, inside `PREFIX`
//! 16  u16  port
//! 18  ...  the datagram
//! ```
//!
//! A door that is full drops, counted, and holds up nobody.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::RawFd;

use l2mesh_core::Endpoint;

use crate::counters::{IoCounters, count};
use crate::sys;

/// The first six bytes of every stream's address, a unique local prefix (RFC 4193); see
/// `l2mesh/datapath/streams.py`.
const PREFIX: [u8; 6] = [0xfd, 0x6c, 0x32, 0x6d, 0x65, 0x73];
const HEADER_BYTES: usize = 18;

/// Our end of the pair, which is its owner's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SideDoor {
    pub(crate) fd: RawFd,
}

impl SideDoor {
    /// Whether an endpoint is a stream.
    pub(crate) fn leads_to(endpoint: &Endpoint) -> bool {
        matches!(endpoint.address, IpAddr::V6(address) if address.octets().starts_with(&PREFIX))
    }

    /// Hands out datagrams of `stride` bytes each, the last perhaps shorter.
    pub(crate) fn send(
        self,
        endpoint: &Endpoint,
        bytes: &[u8],
        stride: usize,
        counters: &IoCounters,
    ) {
        let mut header = [0; HEADER_BYTES];
        header[..16].copy_from_slice(&endpoint.mapped().octets());
        header[16..].copy_from_slice(&endpoint.port.to_be_bytes());
        for datagram in bytes.chunks(stride.max(1)) {
            match sys::writev(self.fd, &[IoSlice::new(&header), IoSlice::new(datagram)]) {
                Ok(_) => count(&counters.stream_datagrams_out, 1),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    count(&counters.stream_overflow, 1);
                }
                Err(error) => counters.error("stream_send", &error),
            }
        }
    }

    /// The next datagram, put at the start of `buffer`: where it came from, and its length.
    ///
    /// # Errors
    /// None is there (`WouldBlock`), or the other end is closed.
    pub(crate) fn receive(self, buffer: &mut [u8]) -> io::Result<(Endpoint, usize)> {
        let mut header = [0; HEADER_BYTES];
        let mut pieces = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
        let length = sys::readv(self.fd, &mut pieces)?;
        if length < HEADER_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut address = [0; 16];
        address.copy_from_slice(&header[..16]);
        let port = u16::from_be_bytes([header[16], header[17]]);
        let endpoint = Endpoint::new(IpAddr::V6(Ipv6Addr::from(address)), port);
        Ok((endpoint, length - HEADER_BYTES))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::new(text.parse().unwrap(), 7)
    }

    #[test]
    fn only_stream_addresses_lead_to_it() {
        assert!(SideDoor::leads_to(&endpoint("fd6c:326d:6573:1::1")));
        assert!(!SideDoor::leads_to(&endpoint("fd6c:326d:6574:1::1")));
        assert!(!SideDoor::leads_to(&endpoint("192.0.2.1")));
    }

    #[test]
    fn datagrams_keep_their_bounds_and_endpoint() {
        let (here, there) = UnixDatagram::pair().unwrap();
        let (ours, far) = (SideDoor { fd: here.as_raw_fd() }, SideDoor { fd: there.as_raw_fd() });
        let counters = IoCounters::default();
        let to = endpoint("fd6c:326d:6573:1::1");
        ours.send(&to, b"abcde", 2, &counters);
        let mut buffer = [0; 64];
        for expected in [&b"ab"[..], b"cd", b"e"] {
            let (from, length) = far.receive(&mut buffer).unwrap();
            assert_eq!((from, &buffer[..length]), (to, expected));
        }
    }
}
