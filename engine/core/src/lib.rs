//! The data path of l2mesh: a switch whose ports are this node's TAP devices and its peers.
//!
//! The same rules as the reference engine in Python, module by module, with the same wire bytes,
//! upcalls, counters and drop reasons; sections named here are those of `docs/protocol.md`.
//! Nothing here does I/O, reads a clock or draws a random byte by itself.
#![forbid(unsafe_code)]

pub mod endpoint;
pub mod engine;
pub mod offload;
pub mod sink;

pub use endpoint::{Endpoint, Path};
pub use engine::Engine;
