//! What may come from a hostile network, as functions of arbitrary bytes.
//!
//! Each target reads its bytes as a series of choices ([`input`]), so that any bytes are a test, and
//! panics when something is wrong. `tests/short.rs` runs all of them for a moment; `tools/fuzz` runs
//! one for as long as one likes, guided by coverage.
//!
//! * [`headers`]: whatever reads the first bytes of a datagram, a frame or a TAP's header;
//! * [`splitter`]: super-frames that lie about themselves;
//! * [`coalescer`]: frames that would like to be merged;
//! * [`hostile`]: a whole engine that has a peer with keys and bad intentions, strangers, and a LAN;
//!   `reassembly` and `relay` are the same with more pieces and more RELAY.
#![forbid(unsafe_code)]

pub mod coalescer;
pub mod frames;
pub mod headers;
pub mod hostile;
pub mod input;
pub mod splitter;

/// A name and what it tries.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("headers", headers::run),
    ("splitter", splitter::run),
    ("coalescer", coalescer::run),
    ("reassembly", hostile::reassembly),
    ("relay", hostile::relay),
    ("engine", hostile::engine),
];

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(one, _)| *one == name).map(|(_, run)| *run)
}
