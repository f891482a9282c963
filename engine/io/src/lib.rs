//! The I/O of the native engine: TAP devices, UDP sockets and the threads between them.
//!
//! * [`Runner`] is what the control plane sees: requests in, reports out;
//! * `worker` is a thread, one for both directions, that takes everything to completion;
//! * `shared` is what several of them share: the engine behind its lock, and the reports;
//! * `outlet` is where the engine puts what it gives out: datagrams into the `outbox`, which makes
//!   trains of them, frames towards their ports, merged into super-frames;
//! * `busy_poll` says how long a worker without work stays awake;
//! * `standing` tells senders of a queue that does not empty;
//! * `side` is the door for datagrams that the control plane carries;
//! * [`tap`] and `sys` are the kernel: devices, and system calls behind safe faces;
//! * [`flood`] and [`forwarder`] are no part of it, but measure it.
//!
//! Descriptors belong to whoever opened them. Only `sys` has unsafe code.
#![deny(unsafe_code)]

mod ancillary;
mod busy_poll;
mod counters;
#[cfg(test)]
mod faults;
pub mod flood;
pub mod forwarder;
mod outbox;
mod outlet;
mod runner;
mod shared;
mod side;
mod standing;
mod sys;
pub mod tap;
mod worker;

pub use counters::IoCounters;
pub use runner::{PortFds, Runner};
pub use shared::Report;
pub use sys::{EventFd, boot_clock};

/// Kill switches: what the kernel may be asked to do for us. All on is what people run. And how
/// much of the processors the workers are to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "four switches, each by itself")]
pub struct Options {
    /// Write TCP super-frames to ports. That they are read is for `tap::set_offloads`.
    pub tap_tso: bool,
    /// Write UDP super-frames to ports.
    pub tap_uso: bool,
    /// Send trains by `UDP_SEGMENT`.
    pub udp_gso: bool,
    /// Receive trains by `UDP_GRO`.
    pub udp_gro: bool,
    /// Added to the niceness of each worker; below 0 it needs a right, and goes without.
    pub nice: i32,
    /// A worker that has nothing to do stays awake for at most so many microseconds, if it is likely
    /// to have something soon (`busy_poll`). 0: it sleeps at once.
    pub busy_poll_us: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tap_tso: true,
            tap_uso: true,
            udp_gso: true,
            udp_gro: true,
            nice: 0,
            busy_poll_us: 100,
        }
    }
}
