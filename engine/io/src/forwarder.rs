//! Two TAP devices joined without anything between, for benches: what a tunnel cannot do without.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use l2mesh_core::offload::virtio::VNET_HEADER_BYTES;

use crate::sys::{self, Epoll};
use crate::tap::{self, FRAME_BYTES, TapOffloads};

/// Frames of one device before it is the other's turn.
const BATCH: usize = 8;

/// Passes every frame and super-frame on as it is.
#[allow(missing_debug_implementations, reason = "a tool")]
pub struct Forwarder {
    devices: [OwnedFd; 2],
    epoll: Epoll,
    memory: Vec<u8>,
}

impl Forwarder {
    /// Makes two devices with these names and all offloads.
    ///
    /// # Errors
    /// A name is taken, or we may not.
    pub fn new(names: [&str; 2]) -> io::Result<Self> {
        let devices = [tap::open(names[0], true)?, tap::open(names[1], true)?];
        let epoll = Epoll::new()?;
        for (token, device) in devices.iter().enumerate() {
            tap::set_offloads(device.as_raw_fd(), TapOffloads::ALL)?;
            epoll.add(device.as_raw_fd(), token as u64, libc::EPOLLIN)?;
        }
        Ok(Self { devices, epoll, memory: vec![0; VNET_HEADER_BYTES + FRAME_BYTES] })
    }

    /// Passes frames on for ever.
    ///
    /// # Errors
    /// A device is gone.
    pub fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            self.epoll.wait(-1, &mut ready)?;
            for one in &ready {
                let from = one.token as usize & 1;
                let fds = [self.devices[from].as_raw_fd(), self.devices[1 - from].as_raw_fd()];
                pass(fds, &mut self.memory)?;
            }
        }
    }
}

fn pass([from, to]: [RawFd; 2], memory: &mut [u8]) -> io::Result<()> {
    for _ in 0..BATCH {
        match sys::readv(from, &mut [IoSliceMut::new(memory)]) {
            // a device that is not up yet takes nothing
            Ok(bytes) => drop(sys::writev(to, &[IoSlice::new(&memory[..bytes])])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if tap::is_gone(&error) => return Err(error),
            Err(_) => break,
        }
    }
    Ok(())
}
