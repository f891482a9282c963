//! Datagrams on their way out: laid one behind the other in one piece of memory, so that runs to
//! one endpoint leave as trains, and sent with as few calls as the kernel allows.
//!
//! A train that the engine made stays as it is: the receiver's kernel then hands it over whole, and
//! a super-frame here is a super-frame there. Single datagrams of one length to one endpoint that
//! follow each other become a train here; a shorter one may be its last.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use l2mesh_core::Endpoint;
use l2mesh_core::sink::{MAX_TRAIN, MAX_TRAIN_BYTES, Run};

use crate::counters::{IoCounters, count};
use crate::side::SideDoor;
use crate::sys::{self, Message, SEND_BATCH, Sending};

#[cfg(test)]
mod tests;

/// Forwarded datagrams that are together at least as long are sent from where they were received.
const WORTH_BYTES: usize = 4 * 1024;
/// Memory for datagrams that were not sent yet; a quarter of a core's L2 cache.
const BYTES: usize = 256 * 1024;
/// Above it what there is leaves, since more would only leave the cache.
const ENOUGH_BYTES: usize = 48 * 1024;
/// How long trains to an endpoint leave one by one after the kernel refused one, in seconds.
const REFUSED_S: f64 = 60.0;
/// Endpoints remembered for that; then all are forgotten.
const MOST_REFUSED: usize = 1024;
/// How often a message is tried again when the kernel has no memory.
const TRIES: usize = 3;

/// Whether sending may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Everything left, or was dropped and counted.
    All,
    /// A socket is full.
    Blocked,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    endpoint: Endpoint,
    start: usize,
    length: usize,
    stride: usize,
    /// Another datagram may follow.
    grows: bool,
}

impl Entry {
    fn is_train(&self) -> bool {
        self.length > self.stride
    }

    /// Whether a datagram of this length may be added.
    fn takes(&self, length: usize) -> bool {
        self.grows
            && length <= self.stride
            && self.length + length <= MAX_TRAIN_BYTES
            && self.length / self.stride < MAX_TRAIN
    }
}

/// Datagrams that leave from the receive buffer that the engine is at.
#[derive(Clone, Debug)]
struct Forward {
    endpoint: Endpoint,
    place: Range<usize>,
    stride: usize,
}

/// What the kernel may be asked to do.
#[derive(Clone, Copy, Debug)]
struct Socket {
    fd: RawFd,
    has_segmentation: bool,
}

pub(crate) struct Outbox {
    memory: Vec<u8>,
    used: usize,
    entries: Vec<Entry>,
    /// The first entry that is not sent.
    next: usize,
    forwards: Vec<Forward>,
    v4: Option<Socket>,
    v6: Option<Socket>,
    /// The way of what no socket carries.
    door: Option<SideDoor>,
    /// The socket that is full.
    full: Option<RawFd>,
    sending: Sending,
    refused: HashMap<Endpoint, f64>,
    pub(crate) udp_gso: bool,
    /// Coarse time, set once a wake.
    pub(crate) now: f64,
    counters: Arc<IoCounters>,
}

impl Outbox {
    pub(crate) fn new(sockets: &[RawFd], counters: Arc<IoCounters>) -> io::Result<Self> {
        let mut outbox = Self {
            memory: vec![0; BYTES],
            used: 0,
            entries: Vec::with_capacity(1024),
            next: 0,
            forwards: Vec::new(),
            v4: None,
            v6: None,
            door: None,
            full: None,
            sending: Sending::new(),
            refused: HashMap::new(),
            udp_gso: true,
            now: 0.0,
            counters,
        };
        for &fd in sockets {
            let socket = Some(Socket { fd, has_segmentation: sys::has_udp_segment(fd) });
            match sys::family(fd)? {
                libc::AF_INET => outbox.v4 = socket,
                libc::AF_INET6 => outbox.v6 = socket,
                libc::AF_UNIX => outbox.door = Some(SideDoor { fd }),
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        Ok(outbox)
    }

    /// The socket that blocked.
    pub(crate) fn full(&self) -> Option<RawFd> {
        self.full
    }

    /// A socket can take more.
    pub(crate) fn unblock(&mut self) {
        self.full = None;
    }

    /// Whether so much waits that it should leave: a train that can still grow waits for more.
    pub(crate) fn has_enough(&self) -> bool {
        self.used >= ENOUGH_BYTES && self.entries.last().is_none_or(|last| !last.takes(last.stride))
    }

    pub(crate) fn datagram(&mut self, endpoint: Endpoint, length: usize) -> &mut [u8] {
        self.make_room(length);
        let start = self.used;
        self.used += length;
        if let Some(last) = self.entries[self.next..].last_mut()
            && last.endpoint == endpoint
            && last.takes(length)
        {
            last.length += length;
            last.grows = length == last.stride;
        } else {
            self.entries.push(Entry { endpoint, start, length, stride: length, grows: length > 0 });
        }
        &mut self.memory[start..start + length]
    }

    pub(crate) fn train(&mut self, endpoint: Endpoint, length: usize, stride: usize) -> &mut [u8] {
        self.make_room(length);
        let start = self.used;
        self.used += length;
        self.entries.push(Entry { endpoint, start, length, stride, grows: false });
        &mut self.memory[start..start + length]
    }

    /// Takes datagrams that lie in the receive buffer. Short ones are copied, since those of several
    /// buffers leave by one call or as one train; unless others wait that they must not overtake.
    pub(crate) fn forward(&mut self, endpoint: Endpoint, run: &Run<'_>) {
        if self.forwards.is_empty() && run.bytes.len() < WORTH_BYTES {
            run.trains().for_each(|train| self.copy(endpoint, train, run.stride));
        } else {
            let place = run.place..run.place + run.bytes.len();
            self.forwards.push(Forward { endpoint, place, stride: run.stride });
        }
    }

    /// Sends what was taken by `forward`, after all that came before. `buffer` is where it lies,
    /// and may be used anew afterwards: what the kernel does not take at once is copied.
    pub(crate) fn send_forwards(&mut self, buffer: &[u8]) {
        if self.forwards.is_empty() {
            return;
        }
        let mut goes_on = self.full.is_none() && self.flush() == Sent::All;
        let mut forwards = std::mem::take(&mut self.forwards);
        for Forward { endpoint, place, stride } in forwards.drain(..) {
            let (bytes, place) = (&buffer[place.clone()], place.start);
            for train in (Run { bytes, stride, place }).trains() {
                goes_on = goes_on && self.send_now(endpoint, train, stride);
                if !goes_on {
                    self.copy(endpoint, train, stride);
                }
            }
        }
        self.forwards = forwards;
    }

    /// Forgets what lies in a buffer that nobody knows any more.
    pub(crate) fn forget_forwards(&mut self) {
        self.forwards.clear();
    }

    fn copy(&mut self, endpoint: Endpoint, train: &[u8], stride: usize) {
        let memory = if train.len() > stride {
            self.train(endpoint, train.len(), stride)
        } else {
            self.datagram(endpoint, train.len())
        };
        memory.copy_from_slice(train);
    }

    /// Whether the kernel has taken a train as it is.
    fn send_now(&mut self, endpoint: Endpoint, bytes: &[u8], stride: usize) -> bool {
        let stride = if bytes.len() > stride { stride } else { 0 };
        let Some(socket) = self.socket(&endpoint) else { return false };
        if SideDoor::leads_to(&endpoint) || (stride > 0 && !self.may_segment(socket, &endpoint)) {
            return false;
        }
        let message = Message { endpoint, bytes, stride };
        if self.sending.send(socket.fd, std::iter::once(message)).is_err() {
            return false; // it is tried again from memory of ours, and what is wrong is seen then
        }
        count(&self.counters.udp_send_calls, 1);
        count(&self.counters.udp_send_messages, 1);
        count(&self.counters.udp_send_trains, u64::from(stride > 0));
        true
    }

    fn make_room(&mut self, length: usize) {
        if self.used + length <= self.memory.len() {
            return;
        }
        if self.flush() == Sent::Blocked {
            // Ports are not read while a socket is full, so these are answers and relayed ones.
            let lost = self.entries.len() - self.next;
            count(&self.counters.underlay_send_overflow, lost as u64);
            self.clear();
        }
        if length > self.memory.len() {
            self.memory.resize(length, 0);
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.next = 0;
        self.used = 0;
    }

    /// Sends everything, as far as the sockets take it.
    pub(crate) fn flush(&mut self) -> Sent {
        while self.next < self.entries.len() {
            let entry = self.entries[self.next];
            if SideDoor::leads_to(&entry.endpoint) {
                self.send_aside(&entry);
                self.next += 1;
                continue;
            }
            let Some(socket) = self.socket(&entry.endpoint) else {
                count(&self.counters.underlay_send_no_family, 1);
                self.next += 1;
                continue;
            };
            if entry.is_train() && !self.may_segment(socket, &entry.endpoint) {
                if self.send_singly(socket, self.next) == Sent::Blocked {
                    return Sent::Blocked;
                }
                self.next += 1;
                continue;
            }
            match self.send_run(socket) {
                Ok(sent) => self.next += sent,
                Err(error) if is_full(&error) => return self.block(socket),
                Err(error) => {
                    if self.send_refused(socket, &error) == Sent::Blocked {
                        return Sent::Blocked;
                    }
                    self.next += 1;
                }
            }
        }
        self.clear();
        Sent::All
    }

    fn send_aside(&self, entry: &Entry) {
        let Some(door) = self.door else {
            return count(&self.counters.underlay_send_no_family, 1);
        };
        let bytes = &self.memory[entry.start..entry.start + entry.length];
        door.send(&entry.endpoint, bytes, entry.stride, &self.counters);
    }

    /// The way of what no socket carries.
    pub(crate) fn door(&self) -> Option<SideDoor> {
        self.door
    }

    fn block(&mut self, socket: Socket) -> Sent {
        count(&self.counters.udp_send_waits, 1);
        self.full = Some(socket.fd);
        Sent::Blocked
    }

    fn socket(&self, endpoint: &Endpoint) -> Option<Socket> {
        if endpoint.address.is_ipv4() { self.v4 } else { self.v6 }
    }

    fn may_segment(&mut self, socket: Socket, endpoint: &Endpoint) -> bool {
        if !self.udp_gso || !socket.has_segmentation {
            return false;
        }
        if self.refused.is_empty() {
            return true;
        }
        match self.refused.get(endpoint) {
            Some(until) if *until > self.now => false,
            Some(_) => {
                self.refused.remove(endpoint);
                true
            }
            None => true,
        }
    }

    /// One call for the entries from `next` on that one socket may send as they are.
    fn send_run(&mut self, socket: Socket) -> io::Result<usize> {
        let is_ipv4 = self.entries[self.next].endpoint.address.is_ipv4();
        let may = self.udp_gso && socket.has_segmentation;
        let refused = &self.refused;
        let fits = |entry: &&Entry| {
            entry.endpoint.address.is_ipv4() == is_ipv4
                && !SideDoor::leads_to(&entry.endpoint)
                && (!entry.is_train()
                    || (may && (refused.is_empty() || !refused.contains_key(&entry.endpoint))))
        };
        let end = (self.next + SEND_BATCH).min(self.entries.len());
        let run = self.entries[self.next..end].iter().take_while(fits);
        let memory = &self.memory;
        let messages = run.map(|entry| Message {
            endpoint: entry.endpoint,
            bytes: &memory[entry.start..entry.start + entry.length],
            stride: if entry.is_train() { entry.stride } else { 0 },
        });
        let sent = self.sending.send(socket.fd, messages)?;
        let trains = self.entries[self.next..self.next + sent].iter().filter(|e| e.is_train());
        count(&self.counters.udp_send_calls, 1);
        count(&self.counters.udp_send_messages, sent as u64);
        count(&self.counters.udp_send_trains, trains.count() as u64);
        Ok(sent)
    }

    /// Deals with the entry at `next`, which the kernel refused.
    fn send_refused(&mut self, socket: Socket, error: &io::Error) -> Sent {
        let entry = self.entries[self.next];
        let code = error.raw_os_error().unwrap_or(0);
        if entry.is_train() && matches!(code, libc::EIO | libc::EINVAL | libc::EMSGSIZE) {
            // EMSGSIZE tells of the path's size, not of segmentation
            if code != libc::EMSGSIZE {
                if self.refused.len() >= MOST_REFUSED {
                    self.refused.clear();
                }
                self.refused.insert(entry.endpoint, self.now + REFUSED_S);
            }
            count(&self.counters.udp_gso_refused, 1);
            return self.send_singly(socket, self.next);
        }
        for _ in 0..TRIES {
            if code != libc::ENOBUFS {
                break;
            }
            if self.send_run_of_one(socket, &entry) {
                return Sent::All;
            }
        }
        self.counters.error("underlay_send", error);
        Sent::All
    }

    fn send_run_of_one(&mut self, socket: Socket, entry: &Entry) -> bool {
        let bytes = &self.memory[entry.start..entry.start + entry.length];
        let stride = if entry.is_train() { entry.stride } else { 0 };
        let message = Message { endpoint: entry.endpoint, bytes, stride };
        self.sending.send(socket.fd, std::iter::once(message)).is_ok()
    }

    /// The datagrams of one train, each by itself. What did not leave stays in the entry.
    fn send_singly(&mut self, socket: Socket, index: usize) -> Sent {
        loop {
            let entry = self.entries[index];
            if entry.length == 0 {
                return Sent::All;
            }
            let bytes = &self.memory[entry.start..entry.start + entry.length];
            let messages = bytes.chunks(entry.stride.max(1)).map(|bytes| Message {
                endpoint: entry.endpoint,
                bytes,
                stride: 0,
            });
            let gone = match self.sending.send(socket.fd, messages) {
                Ok(sent) => {
                    count(&self.counters.udp_send_calls, 1);
                    count(&self.counters.udp_send_messages, sent as u64);
                    sent
                }
                Err(error) if is_full(&error) => return self.block(socket),
                Err(error) => {
                    self.counters.error("underlay_send", &error);
                    1
                }
            };
            let entry = &mut self.entries[index];
            let bytes = (gone * entry.stride).min(entry.length);
            entry.start += bytes;
            entry.length -= bytes;
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let calls = self.counters.udp_send_calls.load(Ordering::Relaxed);
        write!(to, "<Outbox: {} waiting, {calls} calls>", self.entries.len() - self.next)
    }
}
