//! System calls, each behind a safe face. All unsafe code of the project is in this file.
//!
//! Descriptors are numbers that belong to whoever opened them; nothing here closes one but its
//! own (`EventFd`, `Epoll`, `open_tap`). A wrong number is an error from the kernel, and never
//! touches memory.
#![allow(unsafe_code)]
#![allow(clippy::cast_possible_wrap, reason = "counts and descriptors are small")]

use std::ffi::CString;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use l2mesh_core::Endpoint;

use crate::ancillary::{SendControl, UDP_GRO, UDP_SEGMENT, next_control};

/// Messages in one `sendmmsg` call.
pub(crate) const SEND_BATCH: usize = 64;
/// Bytes for the control data of a received datagram: `UDP_GRO`, `SO_RXQ_OVFL`, `IPV6_PKTINFO`.
const CONTROL_BYTES: usize = 96;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;

fn check(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Seconds since boot, suspend included: the clock of the daemons (`runtime/clock.py`).
#[must_use]
pub fn boot_clock() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that lives until the call returns. The clock exists since
    // Linux 2.6.39; were it missing, the time would stay zero.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Adds to the niceness of the calling thread, as far as there are such.
pub(crate) fn renice(by: i32) -> io::Result<()> {
    // SAFETY: no memory is involved; 0 is the calling thread, which exists, so this cannot fail.
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: no memory is involved.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, now + by) }).map(drop)
}

/// Reads once.
pub(crate) fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is ours alone while borrowed here, and its length is what is announced.
    check_size(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Reads once into several buffers.
pub(crate) fn readv(fd: RawFd, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let count = buffers.len() as libc::c_int;
    // SAFETY: IoSliceMut has the layout of iovec (its documentation promises that), each names
    // memory that is ours alone while borrowed here, and `count` is how many there are.
    check_size(unsafe { libc::readv(fd, buffers.as_mut_ptr().cast::<libc::iovec>(), count) })
}

/// Writes several buffers as one.
pub(crate) fn writev(fd: RawFd, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = buffers.len() as libc::c_int;
    // SAFETY: IoSlice has the layout of iovec (its documentation promises that), each names memory
    // that is borrowed here, `count` is how many there are, and the kernel only reads them.
    check_size(unsafe { libc::writev(fd, buffers.as_ptr().cast::<libc::iovec>(), count) })
}

/// Sets an option whose value is an int.
pub(crate) fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value is an int that lives until the call returns, and `size` is its size.
    check(unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size) }).map(drop)
}

/// The address family of a socket.
pub(crate) fn family(fd: RawFd) -> io::Result<i32> {
    let mut value = 0i32;
    let mut size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: `value` has room for the `size` bytes that are announced, both live long enough.
    check(unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, value, &raw mut size)
    })?;
    Ok(value)
}

/// Lets datagrams of one source arrive merged, or no longer.
pub(crate) fn set_udp_gro(fd: RawFd, is_on: bool) -> io::Result<()> {
    set_option(fd, libc::SOL_UDP, UDP_GRO, i32::from(is_on))
}

/// Whether the kernel knows `UDP_SEGMENT`. Routes may refuse it all the same.
pub(crate) fn has_udp_segment(fd: RawFd) -> bool {
    set_option(fd, libc::SOL_UDP, UDP_SEGMENT, 0).is_ok()
}

// --- TAP devices --------------------------------------------------------------------------------

/// Says which offloads the reader of a TAP understands (`TUN_F_*`).
pub(crate) fn tun_set_offload(fd: RawFd, flags: u32) -> io::Result<()> {
    // SAFETY: this ioctl takes its argument by value.
    check(unsafe { libc::ioctl(fd, TUNSETOFFLOAD, libc::c_ulong::from(flags)) }).map(drop)
}

/// Opens `/dev/net/tun` and makes or joins the device `name`; non-blocking, close-on-exec.
pub(crate) fn open_tap(name: &str, flags: i16) -> io::Result<OwnedFd> {
    let path = CString::new("/dev/net/tun")?;
    let mode = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: `path` is a string with its zero byte.
    let fd = check(unsafe { libc::open(path.as_ptr(), mode) })? as RawFd;
    // SAFETY: the descriptor is new, so nobody else closes it.
    let device = unsafe { OwnedFd::from_raw_fd(fd) };
    // struct ifreq: a name of 16 bytes with its zero, then a union of 24
    let mut request = [0u8; 40];
    if name.len() > 15 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: the request is as large as the kernel's struct ifreq and lives until the return.
    check(unsafe { libc::ioctl(fd, TUNSETIFF, request.as_mut_ptr()) })?;
    Ok(device)
}

// --- waiting ------------------------------------------------------------------------------------

/// A counter that wakes whoever polls it.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Not signalled; non-blocking, close-on-exec.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: the descriptor is new, so nobody else closes it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    /// Wakes; any number of times is like once.
    pub fn signal(&self) {
        // a counter that is full is signalled, which is all we want
        let _ = writev(self.fd(), &[IoSlice::new(&1u64.to_ne_bytes())]);
    }

    /// Is not signalled any more.
    pub fn clear(&self) {
        let mut count = [0; 8];
        let _ = read(self.fd(), &mut count);
    }

    /// For polling; it stays ours.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// What happened to a descriptor: its token, and `EPOLL*` bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) events: u32,
}

/// Waits for several descriptors.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor is new, so nobody else closes it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; 64] })
    }

    pub(crate) fn add(&self, fd: RawFd, token: u64, events: i32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, events)
    }

    pub(crate) fn modify(&self, fd: RawFd, token: u64, events: i32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, events)
    }

    pub(crate) fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    fn control(&self, what: i32, fd: RawFd, token: u64, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: `event` lives until the call returns; the kernel keeps a copy.
        let done = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), what, fd, &raw mut event) };
        check(done).map(drop)
    }

    /// Waits at most `milliseconds` (-1: for ever); a signal counts as nothing ready.
    pub(crate) fn wait(&mut self, milliseconds: i32, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let room = self.events.len() as libc::c_int;
        let events = self.events.as_mut_ptr();
        // SAFETY: there is room for `room` events, and it stays ours until the call returns.
        let count =
            check(unsafe { libc::epoll_wait(self.fd.as_raw_fd(), events, room, milliseconds) });
        let count = match count {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            count => count?,
        };
        let seen = self.events[..count].iter();
        ready.extend(seen.map(|event| Ready { token: event.u64, events: event.events }));
        Ok(())
    }
}

// --- UDP ----------------------------------------------------------------------------------------

/// One datagram, or with a `stride` a train of them, to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) bytes: &'a [u8],
    /// Length of each datagram but the last; 0: there is only one.
    pub(crate) stride: usize,
}

/// A socket address of either family.
#[derive(Clone, Copy)]
#[repr(C)]
union Address {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

fn address_of(endpoint: &Endpoint) -> (Address, libc::socklen_t) {
    match endpoint.address {
        IpAddr::V4(address) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: endpoint.port.to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
                sin_zero: [0; 8],
            };
            (Address { v4 }, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        IpAddr::V6(address) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: endpoint.port.to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.octets() },
                sin6_scope_id: 0,
            };
            (Address { v6 }, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// Room for the arguments of `sendmmsg`, made once.
pub(crate) struct Sending {
    headers: Vec<libc::mmsghdr>,
    buffers: Vec<libc::iovec>,
    addresses: Vec<Address>,
    controls: Vec<SendControl>,
}

impl Sending {
    pub(crate) fn new() -> Self {
        let endpoint = Endpoint::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let buffer = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            headers: vec![empty_header(); SEND_BATCH],
            buffers: vec![buffer; SEND_BATCH],
            addresses: vec![address_of(&endpoint).0; SEND_BATCH],
            controls: vec![SendControl::EMPTY; SEND_BATCH],
        }
    }

    /// Sends at most `SEND_BATCH` of the messages, in order; how many left. An error is that of
    /// the first one.
    pub(crate) fn send<'a>(
        &mut self,
        fd: RawFd,
        messages: impl Iterator<Item = Message<'a>>,
    ) -> io::Result<usize> {
        #[cfg(test)]
        crate::faults::next()?;
        let mut count = 0;
        for message in messages.take(SEND_BATCH) {
            let (address, length) = address_of(&message.endpoint);
            self.addresses[count] = address;
            self.buffers[count].iov_base = message.bytes.as_ptr().cast_mut().cast();
            self.buffers[count].iov_len = message.bytes.len();
            let header = &mut self.headers[count].msg_hdr;
            header.msg_name = (&raw mut self.addresses[count]).cast();
            header.msg_namelen = length;
            header.msg_iov = &raw mut self.buffers[count];
            header.msg_iovlen = 1;
            if message.stride > 0 || message.endpoint.uplink > 0 {
                self.controls[count] = SendControl::of(&message.endpoint, message.stride);
                header.msg_control = self.controls[count].bytes().cast_mut().cast();
                header.msg_controllen = self.controls[count].length();
            } else {
                header.msg_control = std::ptr::null_mut();
                header.msg_controllen = 0;
            }
            count += 1;
        }
        let headers = self.headers.as_mut_ptr();
        // SAFETY: the first `count` headers point into our own vectors, which do not move before
        // the call returns, and to the bytes of messages, which are borrowed for 'a, so longer
        // than that; the lengths are those of what is pointed to. The kernel writes msg_len alone.
        check(unsafe { libc::sendmmsg(fd, headers, count as u32, libc::MSG_DONTWAIT) })
    }
}

/// What one slot of a batch received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Bytes in the slot.
    pub(crate) length: usize,
    /// Length of each datagram but the last.
    pub(crate) stride: usize,
    /// None: an address that is no UDP address.
    pub(crate) source: Option<Endpoint>,
    /// The datagram was longer than the slot.
    pub(crate) is_cut: bool,
    /// Datagrams that the socket's buffer had no room for, since it was opened.
    pub(crate) overflow: Option<u32>,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Room for what `recvmmsg` gives, made once.
pub(crate) struct Receiving {
    slots: Vec<Vec<u8>>,
    headers: Vec<libc::mmsghdr>,
    buffers: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    /// Interfaces that are told as such: what came by another one has uplink 0.
    pub(crate) uplinks: Vec<u32>,
}

// SAFETY: the pointers in headers and buffers are set before each use and used in no other thread
// meanwhile, since that needs `&mut self`.
unsafe impl Send for Receiving {}
// SAFETY: as above.
unsafe impl Send for Sending {}

impl Receiving {
    /// `count` slots of `bytes` each.
    pub(crate) fn new(count: usize, bytes: usize) -> Self {
        let buffer = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: all fields are integers, for which zero is a value.
        let name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self {
            slots: vec![vec![0; bytes]; count],
            headers: vec![empty_header(); count],
            buffers: vec![buffer; count],
            names: vec![name; count],
            controls: vec![Control([0; CONTROL_BYTES]); count],
            uplinks: Vec::new(),
        }
    }

    /// The memory of a slot.
    pub(crate) fn slot(&self, index: usize) -> &[u8] {
        &self.slots[index]
    }

    /// The same, to be opened in place.
    pub(crate) fn slot_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.slots[index]
    }

    /// Fills at most `most` slots with what is there; how many.
    pub(crate) fn receive(&mut self, fd: RawFd, most: usize) -> io::Result<usize> {
        let most = most.min(self.slots.len());
        for index in 0..most {
            let slot = &mut self.slots[index];
            self.buffers[index] =
                libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut self.buffers[index];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[index]).cast();
            header.msg_controllen = CONTROL_BYTES;
            header.msg_flags = 0;
        }
        let (headers, count) = (self.headers.as_mut_ptr(), most as u32);
        // SAFETY: each of the first `count` headers points to slot, name and control of its own in our vectors, with
        // their lengths; we hold them exclusively, and they do not move before the call returns.
        check(unsafe {
            libc::recvmmsg(fd, headers, count, libc::MSG_DONTWAIT, std::ptr::null_mut())
        })
    }

    /// What slot `index` got in the last call, which gave more than `index`.
    pub(crate) fn received(&self, index: usize) -> Received {
        let header = &self.headers[index];
        let length = (header.msg_len as usize).min(self.slots[index].len());
        let mut received = Received {
            length,
            stride: length,
            source: self.source(index),
            is_cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            overflow: None,
        };
        let end = header.msg_hdr.msg_controllen.min(CONTROL_BYTES);
        let mut rest = &self.controls[index].0[..end];
        while let Some((level, kind, data, next)) = next_control(rest) {
            let value = data.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes));
            match (level, kind, value) {
                (libc::SOL_UDP, UDP_GRO, Some(stride @ 1..)) => {
                    received.stride = (stride as usize).min(length);
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL, Some(count)) => {
                    received.overflow = Some(count as u32);
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO, Some(uplink)) => {
                    self.note_uplink(&mut received, uplink as u32);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, _) => {
                    let uplink = data.last_chunk::<4>().map_or(0, |b| u32::from_ne_bytes(*b));
                    self.note_uplink(&mut received, uplink);
                }
                _ => {}
            }
            rest = next;
        }
        received
    }

    fn note_uplink(&self, received: &mut Received, uplink: u32) {
        if let Some(source) = &mut received.source
            && self.uplinks.contains(&uplink)
        {
            source.uplink = uplink;
        }
    }

    fn source(&self, index: usize) -> Option<Endpoint> {
        let name = &raw const self.names[index];
        match i32::from(self.names[index].ss_family) {
            libc::AF_INET => {
                // SAFETY: sockaddr_storage is large enough and aligned for every address, and all
                // bytes of it have a value.
                let name = unsafe { &*name.cast::<libc::sockaddr_in>() };
                let address = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
                Some(Endpoint::new(address.into(), u16::from_be(name.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let name = unsafe { &*name.cast::<libc::sockaddr_in6>() };
                let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
                Some(Endpoint::new(address.into(), u16::from_be(name.sin6_port)))
            }
            _ => None,
        }
    }
}
