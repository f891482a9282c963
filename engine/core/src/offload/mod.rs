//! Super-frames: the virtio-net header, splitting at the size that fits the path, coalescing of
//! what arrives, and the checksums of both. Functions over slices, free of I/O; only the
//! coalescer keeps memory, and that it uses again for each batch.

pub mod checksum;
pub mod coalesce;
pub mod ecn;
pub mod split;
pub mod virtio;

#[cfg(test)]
mod packets;
