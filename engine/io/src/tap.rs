//! TAP devices: what their kernel side can do, and frames in and out.
//!
//! A descriptor is opened with `IFF_TAP | IFF_NO_PI`, with `IFF_VNET_HDR` if it is to carry
//! super-frames, non-blocking, and stays its opener's.

use std::io::{self, IoSlice};
use std::os::fd::{OwnedFd, RawFd};

use l2mesh_core::offload::virtio::VNET_HEADER_BYTES;

use crate::sys;

/// The largest frame that a TAP hands over: 64 KiB of IP behind Ethernet with two tags, and more.
pub(crate) const FRAME_BYTES: usize = 65_536 + 256;
/// Where a frame begins in its buffer: room for a virtio header, and an even place for the copy.
const FRAME_AT: usize = 64;

const IFF_TAP: i16 = 0x0002;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;
const IFF_TUN_EXCL: i16 = -0x8000;

const TUN_F_CSUM: u32 = 0x01;
const TUN_F_TSO4: u32 = 0x02;
const TUN_F_TSO6: u32 = 0x04;
const TUN_F_TSO_ECN: u32 = 0x08;
const TUN_F_USO4: u32 = 0x20;
const TUN_F_USO6: u32 = 0x40;
const TSO: u32 = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
const USO: u32 = TUN_F_USO4 | TUN_F_USO6;

/// Super-frames that a device is to exchange with us, or can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapOffloads {
    /// Checksums may be left open. The others need it.
    pub checksum: bool,
    /// Of TCP.
    pub tso: bool,
    /// Of UDP (Linux 6.2).
    pub uso: bool,
}

impl TapOffloads {
    /// Everything.
    pub const ALL: Self = Self { checksum: true, tso: true, uso: true };
    /// Plain frames.
    pub const NONE: Self = Self { checksum: false, tso: false, uso: false };

    fn flags(self) -> u32 {
        let mut flags = 0;
        if self.checksum {
            flags |= TUN_F_CSUM;
            flags |= if self.tso { TSO } else { 0 };
            flags |= if self.uso { USO } else { 0 };
        }
        flags
    }
}

/// Tells the device of `fd`, opened with a virtio header, what we understand: as much of `wanted`
/// as the kernel knows. It holds for the whole device and outlives the descriptor.
///
/// # Errors
/// The descriptor is no TAP.
pub fn set_offloads(fd: RawFd, wanted: TapOffloads) -> io::Result<TapOffloads> {
    let less = [wanted, TapOffloads { uso: false, ..wanted }, TapOffloads::NONE];
    let mut result = Err(io::ErrorKind::InvalidInput.into());
    for offloads in less {
        result = sys::tun_set_offload(fd, offloads.flags()).map(|()| offloads);
        if result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)) {
            continue;
        }
        break;
    }
    result
}

/// Makes a device; it goes away with its descriptor.
///
/// # Errors
/// The name is taken or wrong, or we may not.
pub fn open(name: &str, has_vnet_header: bool) -> io::Result<OwnedFd> {
    let vnet = if has_vnet_header { IFF_VNET_HDR } else { 0 };
    sys::open_tap(name, IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | vnet)
}

/// Memory for what a descriptor gives in one read: a virtio header and a frame.
#[derive(Debug)]
pub(crate) struct FrameBuffer(Vec<u8>);

impl FrameBuffer {
    pub(crate) fn new() -> Self {
        Self(vec![0; FRAME_AT + FRAME_BYTES])
    }

    /// Reads one frame, behind its virtio header if it has one; the frame's length. At the end of
    /// all frames, which a socket has and a TAP has not, the device is gone.
    pub(crate) fn read(&mut self, fd: RawFd, has_vnet: bool) -> io::Result<usize> {
        let head = if has_vnet { VNET_HEADER_BYTES } else { 0 };
        match sys::read(fd, &mut self.0[FRAME_AT - head..])? {
            0 => Err(io::Error::from_raw_os_error(libc::ENODEV)),
            read => Ok(read.saturating_sub(head)),
        }
    }

    /// The virtio header of the last frame, if it had one.
    pub(crate) fn vnet(&self) -> [u8; VNET_HEADER_BYTES] {
        let mut vnet = [0; VNET_HEADER_BYTES];
        vnet.copy_from_slice(&self.0[FRAME_AT - VNET_HEADER_BYTES..FRAME_AT]);
        vnet
    }

    /// The last frame, which was `length` bytes long.
    pub(crate) fn frame(&self, length: usize) -> &[u8] {
        &self.0[FRAME_AT..FRAME_AT + length]
    }

    /// The same, to be changed.
    pub(crate) fn frame_mut(&mut self, length: usize) -> &mut [u8] {
        &mut self.0[FRAME_AT..FRAME_AT + length]
    }
}

/// Writes one frame.
pub(crate) fn write(fd: RawFd, pieces: &[IoSlice<'_>]) -> io::Result<()> {
    sys::writev(fd, pieces).map(drop)
}

/// Whether a read or write failed because the device is gone.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    let gone = [libc::EBADFD, libc::EBADF, libc::ENODEV, libc::ENXIO];
    error.raw_os_error().is_some_and(|code| gone.contains(&code))
}
