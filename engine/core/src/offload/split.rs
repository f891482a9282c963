//! Cutting a super-frame into the frames that the kernel would have made of it, or smaller ones.
//!
//! A TCP super-frame is cut at the size that fits the path, so that nothing of it has to be sent
//! in pieces, but never above the kernel's `gso_size`, to which the receiver's MSS led. It is not
//! cut below `gso_size` where that would show: IPv4 without DF (more identifications would be used
//! than the kernel counted), urgent data, TCP-MD5 and TCP-AO. A UDP super-frame is cut at
//! `gso_size` and nowhere else, because its datagrams are messages.
//!
//! Each frame has the headers of the whole, but: IPv4 has total length, identification + i and its
//! checksum anew; IPv6 and UDP their lengths; TCP its sequence number + i * size. CWR stays on the
//! first alone, FIN and PSH on the last alone; all else, ECE and options included, is on all.

use crate::offload::checksum::{
    self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, FRAGMENT_MASK, TCP, UDP, add, find_segment, finish,
    put_u16, u16_at,
};
use crate::sink::{FrameMeta, Gso, GsoKind, OpenChecksum};

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
const TCP_BYTES: usize = 20;
const DF: u16 = 0x4000;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const URG: u8 = 0x20;
const CWR: u8 = 0x80;
/// Of TCP flags, from the start of its header.
const TCP_FLAGS: usize = 13;
const OPTION_MD5: u8 = 19;
const OPTION_AO: u8 = 29;

/// Headers of IPv6 that may stand before TCP or UDP in a super-frame: hop-by-hop, routing,
/// destination options.
const EXTENSIONS: [u8; 3] = [0, 43, 60];

/// A super-frame whose headers are not what its virtio header says. It is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSuperFrame;

/// How a super-frame is cut: made once, then asked for each of its frames.
#[derive(Debug)]
pub struct Split<'a> {
    frame: &'a [u8],
    kind: GsoKind,
    /// Start of the IP header.
    ip: usize,
    /// Start of the TCP or UDP header.
    l4: usize,
    /// Start of the payload; before it are the headers, which all frames have.
    payload: usize,
    /// Payload bytes of every frame but the last.
    size: usize,
    count: usize,
    open: Option<OpenChecksum>,
    /// Sum of the pseudo header without its length.
    pseudo: u16,
    /// Sum of the IPv4 header without total length, identification and checksum.
    ipv4: u16,
}

impl<'a> Split<'a> {
    /// Plans frames of at most `largest` bytes where that is allowed, else of those that the
    /// kernel meant. Work does not depend on the size of the payload.
    ///
    /// # Errors
    /// Headers that do not fit the frame or each other.
    pub fn plan(
        frame: &'a [u8],
        gso: Gso,
        open: OpenChecksum,
        largest: usize,
    ) -> Result<Self, BadSuperFrame> {
        let l4 = usize::from(open.start);
        let ip = find_ip(frame, gso.kind, l4).ok_or(BadSuperFrame)?;
        let payload = l4 + l4_bytes(frame, gso.kind, l4).ok_or(BadSuperFrame)?;
        let total = frame.len().checked_sub(payload).ok_or(BadSuperFrame)?;
        let protocol = protocol_of(gso.kind);
        let expected = if protocol == UDP { checksum::UDP_FIELD } else { checksum::TCP_FIELD };
        if total == 0 || gso.size == 0 || open.offset != expected {
            return Err(BadSuperFrame);
        }
        let meant = usize::from(gso.size);
        let size = match largest.checked_sub(payload) {
            Some(fits @ 1..) if fits < meant && may_shrink(frame, gso.kind, ip, l4, payload) => {
                fits
            }
            _ => meant,
        };
        // The field holds the pseudo header's sum with the length of the whole. Taking that out
        // again, unlike summing anew, is right with a routing header, too.
        let field = u16_at(frame, l4 + usize::from(open.offset));
        let length = (frame.len() - l4) as u32;
        let length = add((length >> 16) as u16, length as u16);
        let found = find_segment(frame);
        let pseudo = match found {
            Some(segment) => {
                let ip = segment.ip;
                let end = if segment.is_ipv6 { 8..40 } else { 12..20 };
                checksum::pseudo_sum(&frame[ip + end.start..ip + end.end], protocol, 0)
            }
            None => add(field, !length),
        };
        let is_ipv4 = frame[ip] >> 4 == 4;
        Ok(Split {
            frame,
            kind: gso.kind,
            ip,
            l4,
            payload,
            size,
            count: total.div_ceil(size),
            open: found.is_some().then_some(open),
            pseudo,
            ipv4: if is_ipv4 { ipv4_base(frame, ip, l4) } else { 0 },
        })
    }

    /// How many frames there are, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Length of every frame but the last, which may be shorter.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.payload + self.size.min(self.frame.len() - self.payload)
    }

    /// Length of the last frame.
    #[must_use]
    pub fn last(&self) -> usize {
        self.frame.len() - (self.count - 1) * self.size
    }

    /// Length of frame `index`.
    #[must_use]
    pub fn length(&self, index: usize) -> usize {
        if index + 1 == self.count { self.last() } else { self.payload + self.size }
    }

    /// Whether the frames have an open checksum (flag CSUM), and where. Otherwise it is complete.
    #[must_use]
    pub fn open_checksum(&self) -> Option<OpenChecksum> {
        self.open
    }

    /// Writes frame `index` into `to`, which has exactly its length.
    ///
    /// # Panics
    /// When `index` or the length of `to` is wrong, a mistake of the caller's.
    pub fn write(&self, index: usize, to: &mut [u8]) {
        self.write_behind(index, 0, to);
    }

    /// The same without the first `skip` bytes, which are of the Ethernet header.
    ///
    /// # Panics
    /// As above, or when `skip` reaches into the IP header.
    pub fn write_behind(&self, index: usize, skip: usize, to: &mut [u8]) {
        let (ip, l4, payload) = (self.ip - skip, self.l4 - skip, self.payload - skip);
        let from = self.payload + index * self.size;
        let bytes = to.len() - payload;
        to[..payload].copy_from_slice(&self.frame[skip..self.payload]);
        to[payload..].copy_from_slice(&self.frame[from..from + bytes]);
        self.patch_ip(index, ip, to);
        let is_last = index + 1 == self.count;
        let (protocol, field) = if self.kind == GsoKind::Udp {
            put_u16(to, l4 + 4, (to.len() - l4) as u16);
            (UDP, l4 + 6)
        } else {
            self.patch_tcp(index, is_last, &mut to[l4..]);
            (TCP, l4 + 16)
        };
        let pseudo = add(self.pseudo, (to.len() - l4) as u16);
        put_u16(to, field, pseudo);
        if self.open.is_none() {
            let value = finish(checksum::sum(&to[l4..]), protocol);
            put_u16(to, field, value);
        }
    }

    fn patch_ip(&self, index: usize, ip: usize, to: &mut [u8]) {
        if to[ip] >> 4 == 4 {
            let total = (to.len() - ip) as u16;
            let id = u16_at(to, ip + 4).wrapping_add(index as u16);
            put_u16(to, ip + 2, total);
            put_u16(to, ip + 4, id);
            put_u16(to, ip + 10, !add(add(self.ipv4, total), id));
        } else {
            put_u16(to, ip + 4, (to.len() - ip - IPV6_BYTES) as u16);
        }
    }

    fn patch_tcp(&self, index: usize, is_last: bool, header: &mut [u8]) {
        let first = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let sequence = first.wrapping_add((index * self.size) as u32);
        header[4..8].copy_from_slice(&sequence.to_be_bytes());
        if index > 0 {
            header[TCP_FLAGS] &= !CWR;
        }
        if !is_last {
            header[TCP_FLAGS] &= !(FIN | PSH);
        }
    }
}

/// Makes a frame that is no super-frame ready to travel: whether it may do so with its checksum
/// open (flag CSUM); if not, an open checksum is completed here.
#[must_use]
pub fn settle_checksum(frame: &mut [u8], meta: &FrameMeta) -> bool {
    let Some(open) = meta.open_checksum else {
        return false;
    };
    if find_segment(frame).is_some_and(|segment| segment.open_checksum() == open) {
        return true;
    }
    // a place outside of the frame was refused with the virtio header
    let _ = checksum::complete_at(frame, open);
    false
}

fn protocol_of(kind: GsoKind) -> u8 {
    if kind == GsoKind::Udp { UDP } else { TCP }
}

/// Where the IP header is, if it leads to `l4` and to the end of the frame.
fn find_ip(frame: &[u8], kind: GsoKind, l4: usize) -> Option<usize> {
    let (ethertype, ip) = checksum::ethertype(frame)?;
    let protocol = protocol_of(kind);
    let is_right = match ethertype {
        ETHERTYPE_IPV4 => kind != GsoKind::Tcp6 && leads_ipv4(frame, ip, l4, protocol),
        ETHERTYPE_IPV6 => kind != GsoKind::Tcp4 && leads_ipv6(frame, ip, l4, protocol),
        _ => false,
    };
    is_right.then_some(ip)
}

fn leads_ipv4(frame: &[u8], ip: usize, l4: usize, protocol: u8) -> bool {
    frame.len() >= ip + IPV4_BYTES
        && frame[ip] >> 4 == 4
        && l4 >= ip + IPV4_BYTES
        && ip + usize::from(frame[ip] & 0x0f) * 4 == l4
        && frame[ip + 9] == protocol
        && u16_at(frame, ip + 6) & FRAGMENT_MASK == 0
        && usize::from(u16_at(frame, ip + 2)) == frame.len() - ip
}

fn leads_ipv6(frame: &[u8], ip: usize, l4: usize, protocol: u8) -> bool {
    if frame.len() < ip + IPV6_BYTES
        || frame[ip] >> 4 != 6
        || usize::from(u16_at(frame, ip + 4)) != frame.len() - ip - IPV6_BYTES
    {
        return false;
    }
    let (mut next, mut at) = (frame[ip + 6], ip + IPV6_BYTES);
    while at < l4 && EXTENSIONS.contains(&next) && at + 2 <= frame.len() {
        next = frame[at];
        at += 8 + 8 * usize::from(frame[at + 1]);
    }
    at == l4 && next == protocol
}

/// Length of the TCP header with its options, or of the UDP header.
fn l4_bytes(frame: &[u8], kind: GsoKind, l4: usize) -> Option<usize> {
    let bytes = match kind {
        GsoKind::Udp => UDP_BYTES,
        _ => usize::from(frame.get(l4 + 12)? >> 4) * 4,
    };
    let shortest = if kind == GsoKind::Udp { UDP_BYTES } else { TCP_BYTES };
    (bytes >= shortest && l4 + bytes <= frame.len()).then_some(bytes)
}

fn may_shrink(frame: &[u8], kind: GsoKind, ip: usize, l4: usize, payload: usize) -> bool {
    let is_ipv4 = frame[ip] >> 4 == 4;
    kind != GsoKind::Udp
        && (!is_ipv4 || u16_at(frame, ip + 6) & DF != 0)
        && frame[l4 + TCP_FLAGS] & URG == 0
        && !is_signed(&frame[l4 + TCP_BYTES..payload])
}

/// Whether TCP options hold a signature, or cannot be read.
fn is_signed(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        options = match (*kind, rest) {
            (0, _) => return false,
            (1, _) => rest,
            (OPTION_MD5 | OPTION_AO, _) => return true,
            (_, [length, ..]) if (2..=options.len()).contains(&usize::from(*length)) => {
                &options[usize::from(*length)..]
            }
            _ => return true,
        };
    }
    false
}

fn ipv4_base(frame: &[u8], ip: usize, end: usize) -> u16 {
    let head = checksum::sum(&frame[ip..ip + 2]);
    let middle = checksum::sum(&frame[ip + 6..ip + 10]);
    add(add(head, middle), checksum::sum(&frame[ip + 12..end]))
}

#[cfg(test)]
mod tests;
