//! Super-frames: the virtio-net header, splitting at the size that fits the path, coalescing of
//! what arrives, and the checksums of both. Pure functions over slices; nothing is allocated.
