//! The engine as its callers see it: it composes the parts and hands each input to one of them.

use crate::endpoint::Endpoint;
use crate::sink::{FrameMeta, Sink};

/// The data path of one node. `now` is monotonic seconds; it never goes back.
#[derive(Debug, Default)]
pub struct Engine {}

impl Engine {
    /// One frame read from the port of `network`; a super-frame if `meta` says so.
    pub fn frame(
        &mut self,
        network: u64,
        frame: &[u8],
        meta: FrameMeta,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let _ = (network, frame, meta, now, sink);
    }

    /// One datagram received by the UDP socket. Its bytes are overwritten by what it carries.
    pub fn datagram(
        &mut self,
        datagram: &mut [u8],
        source: Endpoint,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let stride = datagram.len();
        self.datagrams(datagram, stride, source, now, sink);
    }

    /// A run of datagrams from one source, as `UDP_GRO` hands it out: each `stride` bytes long,
    /// the last one perhaps shorter. One call is one batch: CONT merges within it, never beyond.
    pub fn datagrams(
        &mut self,
        train: &mut [u8],
        stride: usize,
        source: Endpoint,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let _ = (train, stride, source, now, sink);
    }
}
