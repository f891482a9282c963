//! One way of the engine, many times, for callgrind to count: `instructions WAY COUNT`.
//!
//! The ways: `superframe-out` (a TCP super-frame from the port becomes a train), `superframe-in` (a
//! train becomes a super-frame), `small-out` and `small-in` (64-byte frames, one by one and in
//! batches), `relay` (a run of datagrams for a client), `flood-10` (a broadcast to ten members). It
//! tells how many packets a count is. Built with `null-cipher`, because valgrind knows no AVX-512 and
//! the cipher is not ours; without I/O, so what is counted is the same on every machine.
#![allow(clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::net::Ipv4Addr;

use l2mesh_core::aead::{Cipher, KeyMaterial};
use l2mesh_core::bounds::Bounds;
use l2mesh_core::command::{Command, PortOffloads};
use l2mesh_core::header::relay_head;
use l2mesh_core::limits::Limits;
use l2mesh_core::offload::checksum::{complete, sum};
use l2mesh_core::offload::coalesce::{Coalescer, Place, Switches};
use l2mesh_core::random::System;
use l2mesh_core::rights::Member;
use l2mesh_core::sink::{Delivery, FrameMeta, Gso, GsoKind, Merged, OpenChecksum, Sink};
use l2mesh_core::{Endpoint, Engine, Path};

const NETWORK: u64 = 7;
const RELAY: u64 = 77;
const SEGMENTS: usize = 44;
/// What fits a path of 1,472 bytes.
const SEGMENT_BYTES: usize = 1408;
const SMALL_BATCH: usize = 64;
const START: f64 = 1.0;
/// From one wake of a worker to the next.
const WAKE_S: f64 = 1e-5;

/// Memory for what leaves, a coalescer for what is delivered, and nothing else.
struct Bare {
    memory: Vec<u8>,
    length: usize,
    coalescer: Coalescer,
}

impl Sink for Bare {
    fn datagram(&mut self, _: Endpoint, length: usize) -> &mut [u8] {
        self.length = length;
        &mut self.memory[..length]
    }

    fn train(&mut self, _: Endpoint, length: usize, _: usize) -> &mut [u8] {
        self.length = length;
        &mut self.memory[..length]
    }

    fn deliver(&mut self, network: u64, delivery: &Delivery<'_>) {
        let place = delivery.place.clone().unwrap_or_default();
        let (start, length) = (place.start as u32, place.len() as u32);
        let place = Place { buffer: 0, start, length };
        let &Delivery { head, body, open_checksum, .. } = delivery;
        self.coalescer.push(network, head, body, place, open_checksum);
    }

    fn end_batch(&mut self) -> Merged {
        let mut merged = Merged::default();
        for item in self.coalescer.items() {
            merged.frames += 1;
            merged.superframes += u64::from(item.gso.is_some());
            black_box(item.pieces);
        }
        self.coalescer.clear();
        merged
    }
}

struct Bench {
    engine: Engine,
    sink: Bare,
    now: f64,
}

fn member(number: u8) -> Member {
    Member { mac: mac(number), ..Member::default() }
}

fn mac(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, number]
}

fn endpoint(number: u8) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(192, 0, 2, number).into(), 9993)
}

impl Bench {
    /// Node `us` of 0..=members, which knows all others; what it sends to is `them`.
    fn new(us: u8, members: u8) -> Self {
        let bounds = Bounds { relay_rate: u32::MAX, relay_burst: u32::MAX, ..Bounds::default() };
        let coalescer = Coalescer::new(Switches { tcp: true, udp: true });
        let sink = Bare { memory: vec![0; 1 << 17], length: 0, coalescer };
        let engine = Engine::new(bounds, Box::new(System::default()));
        let mut bench = Self { engine, sink, now: START };
        let offloads = PortOffloads { checksum: true, tso: true, uso: true };
        let limits = Limits { broadcast: None, ..Limits::default() };
        bench.order(Command::OpenPort { network: NETWORK, own: member(us), mtu: 1500 });
        bench.order(Command::SetPortOffloads { network: NETWORK, offloads });
        bench.order(Command::SetLimits { network: NETWORK, limits });
        for them in (0..=members).filter(|them| *them != us) {
            bench.welcome(us, them);
        }
        bench
    }

    fn welcome(&mut self, us: u8, them: u8) {
        let (network, peer, session) = (NETWORK, [them; 32], 1);
        let material = KeyMaterial { cipher: Cipher::Aes256Gcm, key: [1; 32].into(), salt: [1; 4] };
        let path = Some(Path { endpoint: endpoint(them), relay: 0 });
        let (ours, theirs) = (mac(us), mac(them));
        let elided = |to: [u8; 6], from: [u8; 6]| [to, from].concat().try_into().ok();
        self.order(Command::SetMember { network, peer, member: member(them) });
        self.order(Command::SetPath { peer, path, size: 1472, spread: Vec::new() });
        self.order(Command::InstallReceive {
            peer,
            session,
            network,
            index: u32::from(them) + 1,
            material: material.clone(),
            elided: elided(ours, theirs),
        });
        self.order(Command::InstallSend {
            peer,
            session,
            network,
            lane: 0,
            index: u32::from(us) + 1,
            material,
            elided: elided(theirs, ours),
        });
    }

    fn order(&mut self, command: Command) {
        self.engine.execute(command, self.now, &mut self.sink);
    }

    fn send(&mut self, frame: &[u8], meta: FrameMeta) -> &mut [u8] {
        self.engine.frame(NETWORK, frame, meta, self.now, &mut self.sink);
        &mut self.sink.memory[..self.sink.length]
    }
}

/// From node 0 to node 1: a frame whose checksum is open.
fn frame(is_udp: bool, payload: usize, destination: [u8; 6]) -> (Vec<u8>, OpenChecksum) {
    let mut frame = [destination, mac(0)].concat();
    let (protocol, l4_bytes) = if is_udp { (17, 8) } else { (6, 20) };
    let total = (20 + l4_bytes + payload) as u16;
    frame.extend([0x08, 0x00, 0x45, 0x00]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let value = !sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&value.to_be_bytes());
    frame.extend([0x14, 0x51, 0x14, 0x52]);
    if is_udp {
        frame.extend((8 + payload as u16).to_be_bytes());
        frame.extend([0, 0]);
    } else {
        frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 1, 0, 0, 0, 0]);
    }
    let offset = if is_udp { 6 } else { 16 };
    let mut pseudo = frame[26..34].to_vec();
    pseudo.extend([0, protocol]);
    pseudo.extend((total - 20).to_be_bytes());
    frame[34 + offset..36 + offset].copy_from_slice(&sum(&pseudo).to_be_bytes());
    frame.resize(frame.len() + payload, 0x5a);
    (frame, OpenChecksum { start: 34, offset: offset as u16 })
}

fn superframe() -> (Vec<u8>, FrameMeta) {
    let (frame, open) = frame(false, SEGMENTS * SEGMENT_BYTES, mac(1));
    let gso = Gso { kind: GsoKind::Tcp4, size: SEGMENT_BYTES as u16, ecn: false };
    (frame, FrameMeta { open_checksum: Some(open), gso: Some(gso) })
}

/// As if they had just been sealed: nobody looks at the tags.
fn renumber(train: &mut [u8], stride: usize, counter: &mut u32) {
    for datagram in train.chunks_mut(stride) {
        datagram[4..8].copy_from_slice(&counter.to_be_bytes());
        *counter += 1;
    }
}

/// Takes the train `count` times, each at its own time; without a cipher it stays as it was.
fn receive(train: &[u8], stride: usize, count: u32) {
    let mut bench = Bench::new(1, 1);
    let (mut counter, mut memory) = (0, train.to_vec());
    for _ in 0..count {
        renumber(&mut memory, stride, &mut counter);
        let Bench { engine, sink, now } = &mut bench;
        *now += WAKE_S;
        engine.datagrams(&mut memory, stride, endpoint(0), *now, sink);
        engine.end_batch(sink);
    }
    let counters = bench.engine.counters();
    assert_eq!(counters.superframes_out, u64::from(count), "{counters:?}");
}

fn send(frame: &[u8], meta: FrameMeta, members: u8, datagrams: u64, count: u32) {
    let mut bench = Bench::new(0, members);
    for number in 0..count as usize {
        if number.is_multiple_of(SMALL_BATCH) {
            bench.now += WAKE_S;
        }
        black_box(bench.send(frame, meta));
    }
    assert_eq!(bench.engine.counters().datagrams_out, u64::from(count) * datagrams);
}

/// Some 64-byte frames that one peer sent, one behind the other, and their stride.
fn small_train() -> (Vec<u8>, usize) {
    let (mut frame, _) = frame(true, 22, mac(1));
    let _ = complete(&mut frame);
    let datagram = Bench::new(0, 1).send(&frame, FrameMeta::default()).to_vec();
    (datagram.repeat(SMALL_BATCH), datagram.len())
}

fn relay(count: u32) {
    let mut bench = Bench::new(9, 0);
    let (left, right) = (endpoint(1), endpoint(2));
    let (left_client, right_client) = ([1; 32], [2; 32]);
    bench.order(Command::SetRelay { relay: RELAY, left, right, left_client, right_client });
    let mut datagram = relay_head(RELAY).to_vec();
    datagram.resize(1472, 0x80);
    let mut run = datagram.repeat(SEGMENTS);
    for _ in 0..count {
        let Bench { engine, sink, now } = &mut bench;
        engine.datagrams(&mut run, datagram.len(), left, *now, sink);
    }
    let forwarded = bench.engine.counters().relayed_packets;
    assert_eq!(forwarded, u64::from(count) * SEGMENTS as u64);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, count] = &arguments[..] else { panic!("WAY COUNT") };
    let count: u32 = count.parse().expect("a count");
    let packets = match way.as_str() {
        "superframe-out" => {
            let (frame, meta) = superframe();
            send(&frame, meta, 1, SEGMENTS as u64, count);
            SEGMENTS
        }
        "superframe-in" => {
            let (frame, meta) = superframe();
            let train = Bench::new(0, 1).send(&frame, meta).to_vec();
            receive(&train, train.len() / SEGMENTS, count);
            SEGMENTS
        }
        "small-out" => {
            let (frame, open) = frame(true, 22, mac(1));
            let meta = FrameMeta { open_checksum: Some(open), gso: None };
            send(&frame, meta, 1, 1, count);
            1
        }
        "small-in" => {
            let (train, stride) = small_train();
            receive(&train, stride, count);
            SMALL_BATCH
        }
        "relay" => {
            relay(count);
            SEGMENTS
        }
        "flood-10" => {
            let (mut frame, _) = frame(true, 22, [0xff; 6]);
            let _ = complete(&mut frame);
            send(&frame, FrameMeta::default(), 10, 10, count);
            1
        }
        _ => panic!("no such way"),
    };
    println!("packets {packets}");
}
