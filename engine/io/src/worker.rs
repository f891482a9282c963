//! The thread that carries frames: it waits, and then takes each frame and datagram all the way.
//!
//! One wake: requests first; then the ports, so that their queues, which drop, stay short; then the
//! sockets, whose datagrams are opened where they were received and written from there; then what
//! waits to be sent; then time, and what is to be told. While a socket is full the ports are not
//! read: their queues hold what is too much, and their senders notice.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use l2mesh_core::Engine;
use l2mesh_core::offload::virtio;
use l2mesh_core::sink::{FrameMeta, MAX_TRAIN};

use crate::Options;
use crate::counters::{IoCounters, count};
use crate::outbox::{Outbox, Sent};
use crate::outlet::{Outlet, Port};
use crate::runner::{Report, Request, Shared};
use crate::side::SideDoor;
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
    engine: Engine,
    outlet: Outlet,
    receiving: Receiving,
    frame: FrameBuffer,
    sockets: Vec<RawFd>,
    /// What each socket's buffer had no room for so far.
    overflow: Vec<u32>,
    shared: Arc<Shared>,
    counters: Arc<IoCounters>,
    options: Options,
    /// The last receipt brought merged runs.
    is_large: bool,
    is_blocked: bool,
    is_stopped: bool,
    now: f64,
}

impl Worker {
    pub(crate) fn new(
        engine: Engine,
        sockets: &[RawFd],
        options: Options,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let counters = Arc::clone(&shared.counters);
        let mut outbox = Outbox::new(sockets, Arc::clone(&counters))?;
        outbox.udp_gso = options.udp_gso;
        let epoll = Epoll::new()?;
        epoll.add(shared.wake.fd(), WAKE, libc::EPOLLIN)?;
        for (index, &fd) in sockets.iter().enumerate() {
            prepare_socket(fd, options);
            epoll.add(fd, SOCKET | index as u64, libc::EPOLLIN)?;
        }
        Ok(Self {
            epoll,
            engine,
            outlet: Outlet::new(outbox, Arc::clone(&counters)),
            receiving: Receiving::new(SLOTS, SLOT_BYTES),
            frame: FrameBuffer::new(),
            sockets: sockets.to_vec(),
            overflow: vec![0; sockets.len()],
            shared,
            counters,
            options,
            is_large: false,
            is_blocked: false,
            is_stopped: false,
            now: boot_clock(),
        })
    }

    /// Runs until stopped.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while !self.is_stopped {
            let sleep = self.sleep_milliseconds();
            self.epoll.wait(sleep, &mut ready)?;
            self.wake(&ready)?;
        }
        Ok(())
    }

    /// Makes ready for another `run` after a panic: what was at hand is lost.
    pub(crate) fn recover(&mut self) {
        self.outlet.write_frames(&self.receiving);
        self.engine.end_batch(&mut self.outlet);
    }

    pub(crate) fn into_engine(self) -> Engine {
        self.engine
    }

    fn sleep_milliseconds(&self) -> i32 {
        if self.engine.has_upcall() && self.shared.has_room() {
            return 0;
        }
        let due = self.engine.next_timeout().unwrap_or(f64::INFINITY) - self.now;
        let seconds = due.clamp(0.0, LONGEST_SLEEP_S);
        // rounded up, or the last millisecond would be spent in turning round
        (seconds * 1000.0).ceil() as i32
    }

    fn wake(&mut self, ready: &[Ready]) -> io::Result<()> {
        count(&self.counters.worker_wakes, 1);
        self.now = boot_clock();
        self.outlet.outbox.now = self.now;
        if ready.iter().any(|one| one.token == WAKE) {
            self.shared.wake.clear();
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
        if self.engine.next_timeout().is_some_and(|due| due <= self.now) {
            self.engine.timeout(self.now);
        }
        self.report();
        Ok(())
    }

    // --- from the ports -------------------------------------------------------------------------

    fn read_port(&mut self, fd: RawFd) {
        let Some(index) = self.outlet.ports.iter().position(|port| port.fd == fd) else {
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
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
            self.engine.frame(network, frame, meta, self.now, &mut self.outlet);
            if self.outlet.outbox.has_enough() && self.outlet.outbox.flush() == Sent::Blocked {
                return;
            }
        }
    }

    fn read_failed(&mut self, index: usize, error: &io::Error) {
        self.counters.error("port_read", error);
        if tap::is_gone(error) {
            let _ = self.epoll.remove(self.outlet.ports[index].fd);
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
            let train = &mut self.receiving.slot_mut(slot)[..received.length];
            self.engine.datagrams(train, received.stride, source, self.now, &mut self.outlet);
        }
        self.is_large = bytes > LARGE_BYTES * filled;
        self.outlet.write_frames(&self.receiving);
        self.engine.end_batch(&mut self.outlet);
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
            let datagram = &mut self.receiving.slot_mut(0)[..length];
            self.engine.datagrams(datagram, 0, source, self.now, &mut self.outlet);
            self.outlet.write_frames(&self.receiving);
            self.engine.end_batch(&mut self.outlet);
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
            self.epoll.modify(port.fd, PORT | port.fd as u64, interest)?;
        }
        let full = self.outlet.outbox.full();
        for (index, &fd) in self.sockets.iter().enumerate() {
            let out = if full == Some(fd) { libc::EPOLLOUT } else { 0 };
            self.epoll.modify(fd, SOCKET | index as u64, libc::EPOLLIN | out)?;
        }
        Ok(())
    }

    fn report(&mut self) {
        for (network, code) in self.outlet.lost.drain(..) {
            if let Some(port) = self.outlet.ports.iter().find(|port| port.network == network) {
                let _ = self.epoll.remove(port.fd);
            }
            self.shared.report(Report::PortLost { network, code });
        }
        if self.engine.has_upcall() {
            let engine = &mut self.engine;
            self.shared.report_upcalls(|| engine.poll_upcall());
        }
    }

    // --- requests -------------------------------------------------------------------------------

    fn carry_out_requests(&mut self) {
        for request in self.shared.take_requests() {
            match request {
                Request::Execute(command) => {
                    self.engine.execute(command, self.now, &mut self.outlet);
                }
                Request::Call(call) => call(&mut self.engine, self.now),
                Request::Attach { port, done } => {
                    self.detach(port.network);
                    let _ = done.send(self.attach(port));
                }
                Request::Detach { network, done } => {
                    self.detach(network);
                    let _ = done.send(());
                }
                Request::Stop => self.is_stopped = true,
            }
        }
        // frames of ours, which a command may have asked for
        self.outlet.write_frames(&self.receiving);
        self.engine.end_batch(&mut self.outlet);
    }

    fn attach(&mut self, mut port: Port) -> io::Result<()> {
        port.switches.tcp &= self.options.tap_tso;
        port.switches.udp &= self.options.tap_uso;
        let interest = if self.is_blocked { 0 } else { libc::EPOLLIN };
        self.epoll.add(port.fd, PORT | port.fd as u64, interest)?;
        self.outlet.ports.push(port);
        Ok(())
    }

    fn detach(&mut self, network: u64) {
        if let Some(index) = self.outlet.ports.iter().position(|port| port.network == network) {
            let port = self.outlet.ports.swap_remove(index);
            // a descriptor that is gone has left already
            let _ = self.epoll.remove(port.fd);
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
