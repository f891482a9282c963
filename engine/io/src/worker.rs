//! The thread that carries frames: it waits, and then takes each frame and datagram all the way.
//!
//! Each worker has sockets, a queue of every port, an outbox and buffers of its own; the engine is
//! everybody's (`shared`). The kernel gives all datagrams of one source to one socket, and all frames
//! of one flow to one queue, so a flow has one worker in each direction and keeps its order.
//!
//! One wake: requests first; then the ports, so that their queues, which drop, stay short; then the
//! sockets, whose datagrams are opened where they were received and written from there; then what
//! waits to be sent; then time, and what is to be told. While a socket is full the ports are not
//! read: their queues hold what is too much. A queue that is not found empty for long is told to its
//! senders (`standing`).

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread;

use l2mesh_core::Endpoint;
use l2mesh_core::offload::virtio;
use l2mesh_core::sink::{FrameMeta, MAX_TRAIN};

use crate::Options;
use crate::busy_poll::BusyPoll;
use crate::counters::{IoCounters, count};
use crate::outbox::{Outbox, Sent};
use crate::outlet::{Outlet, Port};
use crate::shared::{Inbox, Request, Shared};
use crate::side::SideDoor;
use crate::standing::Standing;
use crate::sys::{self, Epoll, Ready, Receiving, boot_clock};
use crate::tap::{self, FrameBuffer};

/// Receive buffers. Single datagrams fill all of them.
const SLOTS: usize = 32;
/// Buffers used after a call that brought merged runs. They stay in half of a core's L2 cache until
/// their frames are written, and are enough that the reader is not woken for each super-frame.
const LARGE_SLOTS: usize = 8;
/// They are used when the buffers of the call before were filled with more than this on average.
const LARGE_BYTES: usize = 16 * 1024;
/// Of one receive buffer: the largest run that the kernel merges.
const SLOT_BYTES: usize = 65_536;
/// Datagrams of streams read before others have their turn.
const SIDE_DATAGRAMS: usize = 64;
/// Frames read from a port before others have their turn, two full trains of small ones; and
/// super-frames among them.
const FRAMES: usize = 2 * MAX_TRAIN;
const SUPER_FRAMES: usize = 8;
/// Frames above this count as super-frames here, whatever they are.
const LARGE_FRAME_BYTES: usize = 9_216;
/// The clock that counts suspend is not the one that `epoll_wait` sleeps by.
const LONGEST_SLEEP_S: f64 = 5.0;

const WAKE: u64 = 0;
const SOCKET: u64 = 1 << 32;
const PORT: u64 = 2 << 32;

pub(crate) struct Worker {
    epoll: Epoll,
    outlet: Outlet,
    receiving: Receiving,
    frame: FrameBuffer,
    /// Those that it reads.
    sockets: Vec<RawFd>,
    /// What each socket's buffer had no room for so far.
    overflow: Vec<u32>,
    /// What is known of each socket's queue.
    standing: Vec<Standing>,
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    counters: Arc<IoCounters>,
    options: Options,
    /// How many share the engine.
    workers: usize,
    /// The last receipt brought merged runs.
    is_large: bool,
    is_blocked: bool,
    is_stopped: bool,
    now: f64,
    /// When the engine's tables age.
    due: Option<f64>,
    busy_poll: BusyPoll,
}

impl Worker {
    /// Worker `number` of those that share an engine; `groups` are the sockets of all.
    pub(crate) fn new(
        number: usize,
        groups: &[Vec<RawFd>],
        options: Options,
        shared: &Arc<Shared>,
        inbox: &Arc<Inbox>,
    ) -> io::Result<Self> {
        let counters = Arc::new(IoCounters::default());
        let group = &groups[number];
        let mut outbox = Outbox::new(group, Arc::clone(&counters))?;
        outbox.udp_gso = options.udp_gso;
        let door = outbox.door().map(|door| door.fd);
        let is_read = |fd: &RawFd| number == 0 || Some(*fd) != door;
        let sockets: Vec<RawFd> = group.iter().copied().filter(is_read).collect();
        let epoll = Epoll::new()?;
        epoll.add(inbox.wake.fd(), WAKE, libc::EPOLLIN)?;
        for (index, &fd) in sockets.iter().enumerate() {
            prepare_socket(fd, options);
            epoll.add(fd, SOCKET | index as u64, libc::EPOLLIN)?;
        }
        Ok(Self {
            epoll,
            outlet: Outlet::new(outbox, number as u8, Arc::clone(&counters)),
            receiving: Receiving::new(SLOTS, SLOT_BYTES),
            frame: FrameBuffer::new(),
            overflow: vec![0; sockets.len()],
            standing: vec![Standing::NEW; sockets.len()],
            sockets,
            shared: Arc::clone(shared),
            inbox: Arc::clone(inbox),
            counters,
            options,
            workers: groups.len(),
            is_large: false,
            is_blocked: false,
            is_stopped: false,
            now: boot_clock(),
            due: None,
            busy_poll: BusyPoll::new(f64::from(options.busy_poll_us) * 1e-6),
        })
    }

    /// Takes its place among the threads of the host: a frame in hand is a program's that waits.
    pub(crate) fn settle_in(&self) {
        if self.options.nice != 0
            && let Err(error) = sys::renice(self.options.nice)
        {
            self.counters.error("worker_nice", &error);
        }
    }

    /// Runs until stopped.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        self.due = self.shared.settle(self.now);
        while !self.is_stopped {
            self.wait(&mut ready)?;
            self.wake(&ready)?;
        }
        Ok(())
    }

    /// Makes ready for another `run` after a panic: what was at hand is lost.
    pub(crate) fn recover(&mut self) {
        self.outlet.outbox.forget_forwards();
        self.write_frames();
    }

    pub(crate) fn counters(&self) -> Arc<IoCounters> {
        Arc::clone(&self.counters)
    }

    /// Waits for something to do; awake at first, if it is likely to come soon.
    fn wait(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        let begun = boot_clock();
        let until = begun + self.busy_poll.begin(begun - self.now);
        self.now = begun;
        ready.clear();
        while ready.is_empty() && self.now < until {
            // whoever wants this processor goes first, and more comes together meanwhile
            thread::yield_now();
            self.epoll.wait(0, ready)?;
            self.now = boot_clock();
        }
        let awake_s = self.now - begun;
        if ready.is_empty() {
            self.epoll.wait(self.sleep_milliseconds(), ready)?;
            self.now = boot_clock();
        }
        self.busy_poll.end(self.now - begun, awake_s);
        count(&self.counters.worker_polled_us, (awake_s * 1e6) as u64);
        Ok(())
    }

    fn sleep_milliseconds(&self) -> i32 {
        let due = self.due.unwrap_or(f64::INFINITY) - self.now;
        let seconds = due.clamp(0.0, LONGEST_SLEEP_S);
        // rounded up, or the last millisecond would be spent in turning round
        (seconds * 1000.0).ceil() as i32
    }

    fn wake(&mut self, ready: &[Ready]) -> io::Result<()> {
        count(&self.counters.worker_wakes, 1);
        self.outlet.outbox.now = self.now;
        if ready.iter().any(|one| one.token == WAKE) {
            self.inbox.wake.clear();
            self.carry_out_requests();
        }
        for one in ready.iter().filter(|one| one.token & PORT != 0) {
            self.read_port((one.token & u64::from(u32::MAX)) as RawFd);
        }
        for one in ready.iter().filter(|one| one.token & SOCKET != 0) {
            if one.events & libc::EPOLLOUT as u32 != 0 {
                self.outlet.outbox.unblock();
            }
            if one.events & !(libc::EPOLLOUT as u32) != 0 {
                self.receive((one.token & u64::from(u32::MAX)) as usize);
            }
        }
        self.send()?;
        self.report_lost();
        self.due = self.shared.settle(self.now);
        Ok(())
    }

    // --- from the ports -------------------------------------------------------------------------

    fn read_port(&mut self, fd: RawFd) {
        let Some(index) = self.outlet.ports.iter().position(|port| port.queue == Some(fd)) else {
            return;
        };
        let Port { network, has_vnet, is_lost, .. } = self.outlet.ports[index];
        if is_lost {
            return;
        }
        let (mut frames, mut large) = (0, 0);
        while frames < FRAMES && large < SUPER_FRAMES && !self.is_blocked {
            let length = match self.frame.read(fd, has_vnet) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.outlet.ports[index].standing.emptied();
                    return;
                }
                Err(error) => return self.read_failed(index, &error),
            };
            count(&self.counters.tap_reads, 1);
            frames += 1;
            large += usize::from(length > LARGE_FRAME_BYTES);
            let frame = self.frame.frame(length);
            let meta = if has_vnet {
                virtio::parse(self.frame.vnet(), frame)
            } else {
                Ok(FrameMeta::default())
            };
            let Ok(meta) = meta else {
                count(&self.counters.tap_bad_vnet, 1);
                continue;
            };
            count(&self.counters.tap_super_frames_in, u64::from(meta.gso.is_some()));
            let (standing, frame) =
                (&mut self.outlet.ports[index].standing, self.frame.frame_mut(length));
            if !standing.passes(meta.gso, frame, self.now, &self.counters) {
                continue;
            }
            let frame = self.frame.frame(length);
            let outlet = &mut self.outlet;
            self.shared.with(self.now, |engine, now| {
                engine.frame(network, frame, meta, now, outlet);
            });
            if self.outlet.outbox.has_enough() && self.outlet.outbox.flush() == Sent::Blocked {
                return;
            }
        }
    }

    fn read_failed(&mut self, index: usize, error: &io::Error) {
        self.counters.error("port_read", error);
        if tap::is_gone(error) {
            self.leave(self.outlet.ports[index]);
            self.outlet.lose(index, error.raw_os_error().unwrap_or(0));
        }
    }

    // --- from the sockets -----------------------------------------------------------------------

    fn receive(&mut self, index: usize) {
        if let Some(door) = self.outlet.outbox.door()
            && door.fd == self.sockets[index]
        {
            return self.receive_aside(door);
        }
        let slots = if self.is_large { LARGE_SLOTS } else { SLOTS };
        let filled = match self.receiving.receive(self.sockets[index], slots) {
            Ok(filled) => filled,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.counters.error("underlay_receive", &error);
                }
                return;
            }
        };
        count(&self.counters.udp_receive_calls, 1);
        count(&self.counters.udp_receive_buffers, filled as u64);
        let mut bytes = 0;
        for slot in 0..filled {
            let received = self.receiving.received(slot);
            bytes += received.length;
            if let Some(total) = received.overflow {
                let more = total.wrapping_sub(self.overflow[index]);
                self.overflow[index] = total;
                count(&self.counters.udp_receive_overflow, u64::from(more));
            }
            if received.is_cut {
                count(&self.counters.udp_receive_cut, 1);
                continue;
            }
            let Some(source) = received.source else { continue };
            self.outlet.buffer = slot as u32;
            self.open(slot, received.length, received.stride, source);
        }
        self.is_large = bytes > LARGE_BYTES * filled;
        let queue = &mut self.standing[index];
        if filled < slots {
            queue.emptied();
            self.outlet.write_frames(&self.receiving, None);
        } else {
            self.outlet.write_frames(&self.receiving, Some(queue));
        }
        self.end_batch();
    }

    /// What a slot holds: datagrams of `stride` bytes each.
    fn open(&mut self, slot: usize, length: usize, stride: usize, source: Endpoint) {
        let train = &mut self.receiving.slot_mut(slot)[..length];
        let outlet = &mut self.outlet;
        self.shared.with(self.now, |engine, now| {
            engine.datagrams(train, stride, source, now, outlet);
        });
        outlet.outbox.send_forwards(train);
    }

    /// Ends a batch.
    fn write_frames(&mut self) {
        self.outlet.write_frames(&self.receiving, None);
        self.end_batch();
    }

    fn end_batch(&mut self) {
        let outlet = &mut self.outlet;
        self.shared.with(self.now, |engine, _| engine.end_batch(outlet));
    }

    /// What came over streams, one by one: each lies in a receive buffer while it is opened.
    fn receive_aside(&mut self, door: SideDoor) {
        for _ in 0..SIDE_DATAGRAMS {
            let (source, length) = match door.receive(self.receiving.slot_mut(0)) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.counters.error("stream_receive", &error);
                    let _ = self.epoll.remove(door.fd);
                    return;
                }
            };
            count(&self.counters.stream_datagrams_in, 1);
            self.outlet.buffer = 0;
            self.open(0, length, 0, source);
            self.write_frames();
        }
    }

    // --- out ------------------------------------------------------------------------------------

    /// Sends what waits; ports are read again, or no more, as the sockets allow.
    fn send(&mut self) -> io::Result<()> {
        let is_blocked =
            self.outlet.outbox.full().is_some() || self.outlet.outbox.flush() == Sent::Blocked;
        if is_blocked == self.is_blocked {
            return Ok(());
        }
        self.is_blocked = is_blocked;
        let interest = if is_blocked { 0 } else { libc::EPOLLIN };
        for port in self.outlet.ports.iter().filter(|port| !port.is_lost) {
            if let Some(queue) = port.queue {
                self.epoll.modify(queue, PORT | queue as u64, interest)?;
            }
        }
        let full = self.outlet.outbox.full();
        for (index, &fd) in self.sockets.iter().enumerate() {
            let out = if full == Some(fd) { libc::EPOLLOUT } else { 0 };
            self.epoll.modify(fd, SOCKET | index as u64, libc::EPOLLIN | out)?;
        }
        Ok(())
    }

    fn report_lost(&mut self) {
        while let Some((network, code)) = self.outlet.lost.pop() {
            if let Some(&port) = self.outlet.ports.iter().find(|port| port.network == network) {
                self.leave(port);
            }
            self.shared.report_lost(network, code);
        }
    }

    // --- requests -------------------------------------------------------------------------------

    fn carry_out_requests(&mut self) {
        for request in self.inbox.take() {
            match request {
                Request::Execute(command) => {
                    let Self { outlet, workers, .. } = self;
                    self.shared.with(self.now, |engine, now| {
                        engine.execute(command, now, outlet);
                        // what waited for a key leaves before another worker sends what follows
                        if *workers > 1 {
                            outlet.outbox.flush();
                        }
                    });
                }
                Request::Call(call) => self.shared.with(self.now, call),
                Request::Attach { port, done } => {
                    let _ = done.send(self.attach(port));
                }
                Request::Detach { network, done } => {
                    self.detach(network);
                    let _ = done.send(());
                }
                Request::Uplinks(uplinks) => self.receiving.uplinks = uplinks,
                Request::Stop => self.is_stopped = true,
            }
        }
        // frames of ours, which a command may have asked for
        self.write_frames();
    }

    fn attach(&mut self, mut port: Port) -> io::Result<()> {
        port.switches.tcp &= self.options.tap_tso;
        port.switches.udp &= self.options.tap_uso;
        let interest = if self.is_blocked { 0 } else { libc::EPOLLIN };
        if let Some(queue) = port.queue {
            self.epoll.add(queue, PORT | queue as u64, interest)?;
        }
        self.outlet.ports.push(port);
        Ok(())
    }

    fn detach(&mut self, network: u64) {
        if let Some(index) = self.outlet.ports.iter().position(|port| port.network == network) {
            let port = self.outlet.ports.swap_remove(index);
            self.leave(port);
        }
    }

    /// Reads a port's queue no more. A descriptor that is gone has left already.
    fn leave(&self, port: Port) {
        if let Some(queue) = port.queue {
            let _ = self.epoll.remove(queue);
        }
    }
}

/// What may fail here costs speed alone.
fn prepare_socket(fd: RawFd, options: Options) {
    const BUFFER_BYTES: i32 = 8 * 1024 * 1024;
    let level = libc::SOL_SOCKET;
    for (force, ask) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        if sys::set_option(fd, level, force, BUFFER_BYTES).is_err() {
            let _ = sys::set_option(fd, level, ask, BUFFER_BYTES);
        }
    }
    let _ = sys::set_option(fd, level, libc::SO_RXQ_OVFL, 1);
    let _ = sys::set_udp_gro(fd, options.udp_gro);
}
