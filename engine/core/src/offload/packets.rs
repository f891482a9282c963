//! Frames for tests, and the obvious check of a frame.

use crate::offload::checksum::{TCP, UDP, finish, put_u16, u16_at};

/// What a test frame is made of.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) tags: usize,
    pub(crate) is_ipv6: bool,
    /// IPv6 extension headers of 8 bytes.
    pub(crate) extensions: usize,
    pub(crate) df: bool,
    pub(crate) id: u16,
    pub(crate) is_udp: bool,
    pub(crate) port: u16,
    pub(crate) sequence: u32,
    pub(crate) flags: u8,
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            tags: 0,
            is_ipv6: false,
            extensions: 0,
            df: true,
            id: 0xfffe,
            is_udp: false,
            port: 5201,
            sequence: 0xffff_fc00,
            flags: 0x10,
            options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            payload: vec![0xab; 4000],
        }
    }
}

impl Packet {
    /// Start of the TCP or UDP header.
    pub(crate) fn l4(&self) -> usize {
        let ip = if self.is_ipv6 { 40 + 8 * self.extensions } else { 20 };
        14 + 4 * self.tags + ip
    }

    /// Bytes of all headers.
    pub(crate) fn headers(&self) -> usize {
        self.l4() + if self.is_udp { 8 } else { 20 + self.options.len() }
    }

    /// The frame, its checksum open: the field holds the sum of the pseudo header.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in 0..self.tags {
            frame.extend([0x81, 0x00, 0x60, 100 + tag as u8]);
        }
        let l4_bytes = self.headers() - self.l4() + self.payload.len();
        let protocol = if self.is_udp { UDP } else { TCP };
        if self.is_ipv6 {
            frame.extend([0x86, 0xdd, 0x6b, 0x01, 0x23, 0x45]);
            frame.extend(((l4_bytes + 8 * self.extensions) as u16).to_be_bytes());
            frame.extend([if self.extensions > 0 { 60 } else { protocol }, 64]);
            frame.extend((0..32).map(|i| i * 3));
            for left in (0..self.extensions).rev() {
                frame.extend([if left > 0 { 60 } else { protocol }, 0, 1, 4, 0, 0, 0, 0]);
            }
        } else {
            frame.extend([0x08, 0x00, 0x45, 0x02]);
            frame.extend((20 + l4_bytes as u16).to_be_bytes());
            frame.extend(self.id.to_be_bytes());
            frame.extend([if self.df { 0x40 } else { 0 }, 0, 64, protocol, 0, 0]);
            frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
            let ip = frame.len() - 20;
            let sum = slow_sum(&frame[ip..]);
            put_u16(&mut frame, ip + 10, !sum);
        }
        frame.extend(self.port.to_be_bytes());
        frame.extend([0x20, 0x01]);
        if self.is_udp {
            frame.extend((l4_bytes as u16).to_be_bytes());
            frame.extend([0, 0]);
        } else {
            frame.extend(self.sequence.to_be_bytes());
            frame.extend([0, 0, 0, 77]);
            frame.extend([(5 + self.options.len() as u8 / 4) << 4, self.flags, 1, 1, 0, 0, 0, 0]);
            frame.extend(&self.options);
        }
        let field = self.l4() + if self.is_udp { 6 } else { 16 };
        frame.extend(&self.payload);
        let pseudo = slow_pseudo(&frame, self.l4(), protocol);
        put_u16(&mut frame, field, pseudo);
        frame
    }
}

pub(crate) fn slow_sum(data: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in data.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn ip_of(frame: &[u8]) -> usize {
    let mut at = 12;
    while u16_at(frame, at) == 0x8100 {
        at += 4;
    }
    at + 2
}

fn slow_pseudo(frame: &[u8], l4: usize, protocol: u8) -> u16 {
    let ip = ip_of(frame);
    let addresses =
        if frame[ip] >> 4 == 4 { &frame[ip + 12..ip + 20] } else { &frame[ip + 8..ip + 40] };
    let mut pseudo = addresses.to_vec();
    pseudo.extend([0, protocol]);
    pseudo.extend(((frame.len() - l4) as u32).to_be_bytes());
    slow_sum(&pseudo)
}

/// Panics unless lengths and checksums of an unpadded frame are right; `open`: that of L4 is open.
pub(crate) fn check(frame: &[u8], open: bool) {
    let ip = ip_of(frame);
    let (l4, protocol) = if frame[ip] >> 4 == 4 {
        assert_eq!(usize::from(u16_at(frame, ip + 2)), frame.len() - ip, "total length");
        assert_eq!(slow_sum(&frame[ip..ip + 20]), 0xffff, "IPv4 checksum");
        (ip + 20, frame[ip + 9])
    } else {
        assert_eq!(usize::from(u16_at(frame, ip + 4)), frame.len() - ip - 40, "payload length");
        let (mut next, mut at) = (frame[ip + 6], ip + 40);
        while next == 60 {
            (next, at) = (frame[at], at + 8 + 8 * usize::from(frame[at + 1]));
        }
        (at, next)
    };
    if protocol == UDP {
        assert_eq!(usize::from(u16_at(frame, l4 + 4)), frame.len() - l4, "UDP length");
    }
    let field = l4 + if protocol == UDP { 6 } else { 16 };
    let pseudo = slow_pseudo(frame, l4, protocol);
    if open {
        assert_eq!(u16_at(frame, field), pseudo, "open checksum");
    } else {
        let mut copy = frame.to_vec();
        put_u16(&mut copy, field, pseudo);
        let value = finish(slow_sum(&copy[l4..]), protocol);
        assert_eq!(u16_at(frame, field), value, "checksum");
    }
}
