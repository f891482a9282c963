//! Where the engine puts what it gives out: datagrams into the outbox, frames towards the ports.
//!
//! Frames of one batch are only noted, with the place in the receive buffers where they lie; at its
//! end they are merged and written from there. A port that is no kernel gets each frame at once,
//! its checksum complete.

use std::io::IoSlice;
use std::os::fd::RawFd;
use std::sync::Arc;

use l2mesh_core::Endpoint;
use l2mesh_core::offload::checksum::complete_at;
use l2mesh_core::offload::coalesce::{Coalescer, HEADER_BYTES, Item, MOST_FRAMES, Place, Switches};
use l2mesh_core::offload::split::Split;
use l2mesh_core::offload::virtio;
use l2mesh_core::sink::{Delivery, FrameMeta, GsoKind, Merged, Run, Sink};

use crate::counters::{IoCounters, count};
use crate::outbox::Outbox;
use crate::standing::Standing;
use crate::sys::Receiving;
use crate::tap;

/// The `Place::buffer` of frames that lie in no receive buffer.
const ASIDE: u32 = u32::MAX;

/// One attached port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    pub(crate) network: u64,
    /// Where this worker reads frames, if it does.
    pub(crate) queue: Option<RawFd>,
    /// Where it writes them.
    pub(crate) fd: RawFd,
    /// The descriptor has a virtio header before each frame.
    pub(crate) has_vnet: bool,
    /// Which frames may be merged for it.
    pub(crate) switches: Switches,
    /// The device is gone; its owner was told.
    pub(crate) is_lost: bool,
    /// What is known of the queue that this worker reads.
    pub(crate) standing: Standing,
}

#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) outbox: Outbox,
    /// That of its worker.
    lane: u8,
    pub(crate) ports: Vec<Port>,
    coalescer: Coalescer,
    /// Frames that were put together from pieces, and the like.
    aside: Vec<u8>,
    /// The receive buffer that the engine is at.
    pub(crate) buffer: u32,
    counters: Arc<IoCounters>,
    /// What `write_frames` wrote and the engine was not told yet.
    merged: Merged,
    /// Ports that turned out to be gone, with why.
    pub(crate) lost: Vec<(u64, i32)>,
}

impl Outlet {
    pub(crate) fn new(outbox: Outbox, lane: u8, counters: Arc<IoCounters>) -> Self {
        Self {
            outbox,
            lane,
            ports: Vec::new(),
            coalescer: Coalescer::new(Switches { tcp: true, udp: true }),
            aside: Vec::new(),
            buffer: 0,
            counters,
            merged: Merged::default(),
            lost: Vec::new(),
        }
    }

    /// Writes what was delivered since the last call; `buffers` are those that it was opened in, and
    /// `queue` is the one it came from.
    pub(crate) fn write_frames(&mut self, buffers: &Receiving, mut queue: Option<&mut Standing>) {
        let Self { ports, coalescer, aside, counters, merged, lost, outbox, .. } = self;
        let bytes_of = |place: &Place| {
            let buffer = if place.buffer == ASIDE {
                &aside[..]
            } else {
                buffers.slot(place.buffer as usize)
            };
            &buffer[place.start as usize..(place.start + place.length) as usize]
        };
        for item in coalescer.items() {
            // the port may be gone since, but never another one's number
            let Some(port) = ports.iter_mut().find(|port| port.network == item.network) else {
                count(&counters.port_write_no_port, 1);
                continue;
            };
            let mut changed;
            let mut header = item.header;
            if let Some(queue) = &mut queue
                && item.gso.is_some()
            {
                changed = [0; HEADER_BYTES];
                let copy = &mut changed[..header.len()];
                copy.copy_from_slice(header);
                if !queue.passes(item.gso, copy, outbox.now, counters) {
                    continue;
                }
                header = copy;
            }
            let mut pieces = [IoSlice::new(&[]); MOST_FRAMES + 2];
            pieces[0] = IoSlice::new(&item.vnet);
            pieces[1] = IoSlice::new(header);
            for (piece, place) in pieces[2..].iter_mut().zip(item.pieces) {
                *piece = IoSlice::new(bytes_of(place));
            }
            let pieces = &pieces[..2 + item.pieces.len()];
            count(&counters.tap_writes, 1);
            count(&counters.tap_super_frames_out, u64::from(item.gso.is_some()));
            merged.frames += 1;
            merged.bytes += pieces[1..].iter().map(|piece| piece.len() as u64).sum::<u64>();
            merged.superframes += u64::from(item.gso.is_some());
            if let Err(error) = tap::write(port.fd, pieces) {
                if item.gso.is_some() && error.raw_os_error() == Some(libc::EINVAL) {
                    turn_off(port, &item, counters);
                    write_singly(port.fd, &item, pieces, counters);
                } else {
                    fail(port, &error, counters, lost);
                }
            }
        }
        coalescer.clear();
        aside.clear();
    }

    /// Notes that a port's device is gone.
    pub(crate) fn lose(&mut self, index: usize, code: i32) {
        let port = &mut self.ports[index];
        if !port.is_lost {
            port.is_lost = true;
            self.lost.push((port.network, code));
        }
    }
}

impl Sink for Outlet {
    fn datagram(&mut self, endpoint: Endpoint, length: usize) -> &mut [u8] {
        self.outbox.datagram(endpoint, length)
    }

    fn train(&mut self, endpoint: Endpoint, length: usize, stride: usize) -> &mut [u8] {
        self.outbox.train(endpoint, length, stride)
    }

    fn forward(&mut self, endpoint: Endpoint, run: &Run<'_>) {
        self.outbox.forward(endpoint, run);
    }

    fn deliver(&mut self, network: u64, frame: &Delivery<'_>) {
        let Some(port) = self.ports.iter_mut().find(|port| port.network == network) else {
            count(&self.counters.port_write_no_port, 1);
            return;
        };
        if !port.has_vnet {
            let mut whole = [frame.head, frame.body].concat();
            if let Some(open) = frame.open_checksum {
                let _ = complete_at(&mut whole, open);
            }
            count(&self.counters.tap_writes, 1);
            if let Err(error) = tap::write(port.fd, &[IoSlice::new(&whole)]) {
                fail(port, &error, &self.counters, &mut self.lost);
            }
            return;
        }
        let place = if let Some(place) = &frame.place {
            let (start, length) = (place.start as u32, place.len() as u32);
            Place { buffer: self.buffer, start, length }
        } else {
            let start = self.aside.len() as u32;
            self.aside.extend_from_slice(frame.body);
            Place { buffer: ASIDE, start, length: frame.body.len() as u32 }
        };
        self.coalescer.switches = port.switches;
        self.coalescer.push(network, frame.head, frame.body, place, frame.open_checksum);
    }

    fn lane(&self) -> u8 {
        self.lane
    }

    /// What `write_frames` has written by now: it needs the buffers, and the engine has none.
    fn end_batch(&mut self) -> Merged {
        std::mem::take(&mut self.merged)
    }
}

fn fail(
    port: &mut Port,
    error: &std::io::Error,
    counters: &IoCounters,
    lost: &mut Vec<(u64, i32)>,
) {
    counters.error("port_write", error);
    if tap::is_gone(error) && !port.is_lost {
        port.is_lost = true;
        lost.push((port.network, error.raw_os_error().unwrap_or(0)));
    }
}

/// Merges no more of what the kernel refused.
fn turn_off(port: &mut Port, item: &Item<'_>, counters: &IoCounters) {
    if item.gso.is_some_and(|gso| gso.kind == GsoKind::Udp) {
        port.switches.udp = false;
        count(&counters.tap_uso_refused, 1);
    } else {
        port.switches.tcp = false;
        count(&counters.tap_tso_refused, 1);
    }
}

/// Cuts a super-frame that the kernel refused, and writes its frames one by one.
fn write_singly(fd: RawFd, item: &Item<'_>, pieces: &[IoSlice<'_>], counters: &IoCounters) {
    let whole: Vec<u8> = pieces[1..].iter().flat_map(|piece| piece.iter().copied()).collect();
    let (Some(gso), Some(open)) = (item.gso, item.open_checksum) else { return };
    let Ok(split) = Split::plan(&whole, gso, open, usize::MAX) else { return };
    let meta = FrameMeta { open_checksum: split.open_checksum(), gso: None };
    let vnet = virtio::emit(&meta, 0);
    for index in 0..split.count() {
        let mut frame = vec![0; split.length(index)];
        split.write(index, &mut frame);
        count(&counters.tap_writes, 1);
        if let Err(error) = tap::write(fd, &[IoSlice::new(&vnet), IoSlice::new(&frame)]) {
            counters.error("port_write", &error);
        }
    }
}
