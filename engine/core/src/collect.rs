//! The face without I/O: what an engine gives out waits in a queue until it is polled.

use std::collections::VecDeque;

use crate::endpoint::Endpoint;
use crate::offload::checksum::complete;
use crate::offload::coalesce::{Coalescer, Place, Switches};
use crate::sink::{Delivery, FrameMeta, Merged, Sink};

/// What an engine gave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send one datagram.
    Transmit {
        /// Its bytes.
        datagram: Vec<u8>,
        /// Where to.
        endpoint: Endpoint,
    },
    /// Send several datagrams at once.
    Train {
        /// Their bytes, one behind the other.
        datagrams: Vec<u8>,
        /// The length of each but the last.
        stride: usize,
        /// Where to.
        endpoint: Endpoint,
    },
    /// Write a frame or super-frame to the port of a network.
    Deliver {
        /// Which.
        network: u64,
        /// The frame.
        frame: Vec<u8>,
        /// What is left to do about it; nothing on ports without offloads.
        meta: FrameMeta,
    },
}

/// A sink that keeps everything in order.
#[derive(Debug)]
pub struct Queue {
    outputs: VecDeque<Output>,
    coalescer: Coalescer,
    /// Bodies of the frames in `coalescer`.
    memory: Vec<u8>,
}

impl Default for Queue {
    fn default() -> Self {
        let coalescer = Coalescer::new(Switches { tcp: false, udp: false });
        Self { outputs: VecDeque::new(), coalescer, memory: Vec::new() }
    }
}

impl Queue {
    /// The oldest.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

impl Sink for Queue {
    fn datagram(&mut self, endpoint: Endpoint, length: usize) -> &mut [u8] {
        self.outputs.push_back(Output::Transmit { datagram: vec![0; length], endpoint });
        match self.outputs.back_mut() {
            Some(Output::Transmit { datagram, .. }) => datagram,
            _ => &mut [],
        }
    }

    fn train(&mut self, endpoint: Endpoint, length: usize, stride: usize) -> &mut [u8] {
        self.outputs.push_back(Output::Train { datagrams: vec![0; length], stride, endpoint });
        match self.outputs.back_mut() {
            Some(Output::Train { datagrams, .. }) => datagrams,
            _ => &mut [],
        }
    }

    fn deliver(&mut self, network: u64, delivery: &Delivery<'_>) {
        let &Delivery { head, body, open_checksum, offloads, .. } = delivery;
        if offloads.checksum {
            let (start, length) = (self.memory.len() as u32, body.len() as u32);
            let place = Place { buffer: 0, start, length };
            self.memory.extend_from_slice(body);
            self.coalescer.switches = Switches { tcp: offloads.tso, udp: offloads.uso };
            self.coalescer.push(network, head, body, place, open_checksum);
            return;
        }
        let mut frame = [head, body].concat();
        if open_checksum.is_some() {
            let _ = complete(&mut frame);
        }
        let meta = FrameMeta::default();
        self.outputs.push_back(Output::Deliver { network, frame, meta });
    }

    fn end_batch(&mut self) -> Merged {
        let mut merged = Merged::default();
        for item in self.coalescer.items() {
            let mut frame = item.header.to_vec();
            for &Place { start, length, .. } in item.pieces {
                frame.extend_from_slice(&self.memory[start as usize..(start + length) as usize]);
            }
            merged.frames += 1;
            merged.bytes += frame.len() as u64;
            merged.superframes += u64::from(item.gso.is_some());
            let meta = FrameMeta { open_checksum: item.open_checksum, gso: item.gso };
            self.outputs.push_back(Output::Deliver { network: item.network, frame, meta });
        }
        self.coalescer.clear();
        self.memory.clear();
        merged
    }
}
