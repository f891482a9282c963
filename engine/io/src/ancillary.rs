//! Control messages beside datagrams (`struct cmsghdr`, cmsg(3)): trains, and uplinks.

use l2mesh_core::Endpoint;

/// Of a sent datagram or train: `UDP_SEGMENT`, `IPV6_PKTINFO`.
const SEND_CONTROL_BYTES: usize = 64;
/// Of `struct cmsghdr`: length u64, level i32, type i32.
const CMSG_HEADER_BYTES: usize = 16;

pub(crate) const UDP_SEGMENT: i32 = 103;
pub(crate) const UDP_GRO: i32 = 104;

/// Control messages of one datagram or train on its way out.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct SendControl {
    bytes: [u8; SEND_CONTROL_BYTES],
    used: usize,
}

impl SendControl {
    pub(crate) const EMPTY: Self = Self { bytes: [0; SEND_CONTROL_BYTES], used: 0 };

    /// What a message needs; nothing for a single datagram that goes as the routes say.
    pub(crate) fn of(endpoint: &Endpoint, stride: usize) -> Self {
        let mut control = Self::EMPTY;
        if stride > 0 {
            control.push(libc::SOL_UDP, UDP_SEGMENT, &(stride as u16).to_ne_bytes());
        }
        if endpoint.uplink > 0 {
            control.push_uplink(endpoint);
        }
        control
    }

    /// What the kernel reads, `length` bytes.
    pub(crate) fn bytes(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    pub(crate) fn length(&self) -> usize {
        self.used
    }

    /// `in_pktinfo`: index, two addresses; `in6_pktinfo`: an address, index. Without an
    /// address the kernel takes one of that interface.
    fn push_uplink(&mut self, endpoint: &Endpoint) {
        let index = endpoint.uplink.to_ne_bytes();
        if endpoint.address.is_ipv4() {
            let mut info = [0; 12];
            info[..4].copy_from_slice(&index);
            self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        } else {
            let mut info = [0; 20];
            info[16..].copy_from_slice(&index);
            self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let length = CMSG_HEADER_BYTES + data.len();
        let message = &mut self.bytes[self.used..self.used + length.next_multiple_of(8)];
        message[..8].copy_from_slice(&length.to_ne_bytes());
        message[8..12].copy_from_slice(&level.to_ne_bytes());
        message[12..16].copy_from_slice(&kind.to_ne_bytes());
        message[16..length].copy_from_slice(data);
        self.used += length.next_multiple_of(8);
    }
}

pub(crate) type ControlMessage<'a> = (i32, i32, &'a [u8], &'a [u8]);

/// Level, type and data of the first control message, and what follows it.
pub(crate) fn next_control(bytes: &[u8]) -> Option<ControlMessage<'_>> {
    let length = usize::from_ne_bytes(*bytes.first_chunk()?);
    let data = bytes.get(CMSG_HEADER_BYTES..length)?;
    let field = |at: usize| bytes[at..at + 4].first_chunk().map(|b| i32::from_ne_bytes(*b));
    let next = bytes.get(length.next_multiple_of(8)..).unwrap_or(&[]);
    Some((field(8)?, field(12)?, data, next))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn messages(control: &SendControl) -> Vec<(i32, i32, Vec<u8>)> {
        let mut rest = &control.bytes[..control.used];
        let mut found = Vec::new();
        while let Some((level, kind, data, next)) = next_control(rest) {
            found.push((level, kind, data.to_vec()));
            rest = next;
        }
        found
    }

    fn endpoint(host: &str, uplink: u32) -> Endpoint {
        Endpoint { uplink, ..Endpoint::new(host.parse().unwrap(), 9993) }
    }

    #[test]
    fn a_single_datagram_as_the_routes_say_needs_none() {
        assert_eq!(SendControl::of(&endpoint("192.0.2.1", 0), 0).length(), 0);
    }

    #[test]
    fn an_uplink_is_named_by_its_index_in_either_family() {
        let ipv4 = messages(&SendControl::of(&endpoint("192.0.2.1", 7), 0));
        let mut info = vec![0; 12];
        info[..4].copy_from_slice(&7u32.to_ne_bytes());
        assert_eq!(ipv4, [(libc::IPPROTO_IP, libc::IP_PKTINFO, info)]);
        let ipv6 = messages(&SendControl::of(&endpoint("2001:db8::1", 7), 1200));
        let mut info = vec![0; 20];
        info[16..].copy_from_slice(&7u32.to_ne_bytes());
        let train = (libc::SOL_UDP, UDP_SEGMENT, 1200u16.to_ne_bytes().to_vec());
        assert_eq!(ipv6, [train, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)]);
    }
}
