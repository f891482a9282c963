//! A whole engine between a LAN, an honest peer, and a hostile one that has every key it may have.
//!
//! The hostile peer seals what it likes: any flags, any text, any counter, in trains and relayed.
//! Whatever it does, nothing panics, no more comes out than went in, what is written to the port is
//! something that a kernel takes, what waits is bounded, and afterwards a frame of the honest peer
//! still arrives and one for it still leaves.

use std::net::{IpAddr, Ipv4Addr};

use l2mesh_core::aead::{Aead, Cipher, KeyMaterial, Library};
use l2mesh_core::bounds::Bounds;
use l2mesh_core::collect::{Output, Queue};
use l2mesh_core::command::{Command, PortOffloads};
use l2mesh_core::ethernet::Mac;
use l2mesh_core::header::{OVERHEAD, data_word, flag, piece_head, relay_head};
use l2mesh_core::offload::split::Split;
use l2mesh_core::offload::virtio;
use l2mesh_core::random::Random;
use l2mesh_core::rights::Member;
use l2mesh_core::sink::{FrameMeta, GsoKind, MAX_TRAIN, MAX_TRAIN_BYTES};
use l2mesh_core::{Endpoint, Engine, Path};

use crate::frames::{Wanted, frame, open_of};
use crate::input::Input;

const NETWORK: u64 = 7;
const MTU: usize = 1500;
const SESSION: u64 = 5;
const OURS: Mac = [2, 0, 0, 0, 0, 1];
const THEIRS: Mac = [2, 0, 0, 0, 0, 2];
const GOOD: Mac = [2, 0, 0, 0, 0, 3];
const MACS: [Mac; 8] = [
    OURS,
    OURS,
    THEIRS,
    GOOD,
    [0xff; 6],
    [1, 0, 0x5e, 0, 0, 1],
    [1, 0x80, 0xc2, 0, 0, 0],
    [2, 0, 0, 0, 9, 9],
];
/// Relays of which we are an end, and that we are.
const LEG: u64 = 77;
const RELAY: u64 = 78;
const MOST_STEPS: usize = 400;

/// What a run consists of, besides a bit of everything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bent {
    Everything,
    Pieces,
    Relays,
}

/// All of it.
///
/// # Panics
/// When a promise above does not hold.
pub fn engine(bytes: &[u8]) {
    run(bytes, Bent::Everything);
}

/// Mostly pieces of frames.
///
/// # Panics
/// As above.
pub fn reassembly(bytes: &[u8]) {
    run(bytes, Bent::Pieces);
}

/// Mostly RELAY.
///
/// # Panics
/// As above.
pub fn relay(bytes: &[u8]) {
    run(bytes, Bent::Relays);
}

struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Another member, or one end of a relay: `number` says which.
#[derive(Clone, Copy)]
struct Peer(u8);

const HOSTILE: Peer = Peer(2);
const HONEST: Peer = Peer(3);

impl Peer {
    fn name(self) -> [u8; 32] {
        [self.0; 32]
    }

    fn endpoint(self) -> Endpoint {
        Endpoint::new(Ipv4Addr::new(192, 0, 2, self.0).into(), 9993)
    }

    fn material(self) -> KeyMaterial {
        KeyMaterial { cipher: Cipher::Aes256Gcm, key: [self.0; 32].into(), salt: [self.0; 4] }
    }

    fn index(self, network: u64) -> u32 {
        u32::from(self.0) << 8 | u32::from(network != 0)
    }

    fn sealed(self, network: u64, flags: u8, counter: u32, text: &[u8]) -> Vec<u8> {
        let mut datagram = data_word(flags, self.index(network)).to_be_bytes().to_vec();
        datagram.extend(counter.to_be_bytes());
        datagram.extend_from_slice(text);
        datagram.extend([0; 16]);
        Library::new(&self.material()).seal(counter, &mut datagram);
        datagram
    }
}

struct World {
    engine: Engine,
    out: Queue,
    now: f64,
    counter: u32,
    /// Datagrams and frames that came in, and what may come out because of them.
    datagrams: usize,
    may_leave: usize,
    bridge: bool,
}

fn run(bytes: &[u8], bent: Bent) {
    let mut input = Input(bytes);
    let mut world = World::new(&mut input);
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        world.step(&mut input, bent);
    }
    world.check_outputs();
    world.check_upcalls();
    world.check_the_honest();
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let engine = Engine::new(Bounds::default(), Box::new(Zeros));
        let bridge = input.coin();
        let mut world = Self {
            engine,
            out: Queue::default(),
            now: 1000.0,
            counter: 0,
            datagrams: 0,
            may_leave: 0,
            bridge,
        };
        let on = input.coin();
        let offloads = PortOffloads { checksum: on, tso: on, uso: on };
        world.order(Command::OpenPort { network: NETWORK, own: member(OURS, bridge), mtu: MTU });
        world.order(Command::SetPortOffloads { network: NETWORK, offloads });
        world.order(Command::SetUnderlay { port: 9993, addresses: vec![[10, 0, 0, 1].into()] });
        world.order(Command::SetGuard {
            public: [1; 32],
            secret: [2; 32].into(),
            inits_per_second: 20,
        });
        world.order(Command::AddRelayLeg { relay: LEG, endpoint: HOSTILE.endpoint() });
        world.order(Command::SetRelay {
            relay: RELAY,
            left: HOSTILE.endpoint(),
            right: HONEST.endpoint(),
            left_client: HOSTILE.name(),
            right_client: HONEST.name(),
        });
        for (peer, mac) in [(HOSTILE, THEIRS), (HONEST, GOOD)] {
            let behind = peer.0 == HOSTILE.0 && input.coin();
            world.welcome(peer, mac, behind);
        }
        world
    }

    fn welcome(&mut self, peer: Peer, mac: Mac, bridge: bool) {
        let (name, session) = (peer.name(), SESSION);
        let path = Some(Path { endpoint: peer.endpoint(), relay: 0 });
        self.order(Command::SetMember {
            network: NETWORK,
            peer: name,
            member: member(mac, bridge),
        });
        self.order(Command::SetPath { peer: name, path, size: 1472, spread: Vec::new() });
        for network in [0, NETWORK] {
            let (index, material) = (peer.index(network), peer.material());
            let mut elided = [0; 12];
            elided[..6].copy_from_slice(&OURS);
            elided[6..].copy_from_slice(&mac);
            let elided = (network != 0).then_some(elided);
            self.order(Command::InstallReceive {
                peer: name,
                session,
                network,
                index,
                material,
                elided,
            });
            let material = peer.material();
            self.order(Command::InstallSend {
                peer: name,
                session,
                network,
                lane: 0,
                index,
                material,
                elided: None,
            });
        }
    }

    fn order(&mut self, command: Command) {
        self.engine.execute(command, self.now, &mut self.out);
    }

    fn step(&mut self, input: &mut Input<'_>, bent: Bent) {
        match (input.u8() % 16, bent) {
            (0..=8, Bent::Pieces) => self.arrive_piece(input),
            (0..=8, Bent::Relays) | (9, _) => self.arrive_relayed(input),
            (0..=8, Bent::Everything) => self.arrive_train(input),
            (10, _) => {
                let bytes = usize::from(input.u8());
                let text = input.bytes(bytes).to_vec();
                self.receive(text, 0);
            }
            (11 | 12, _) => self.leave(input),
            (13, _) => {
                self.now += f64::from(input.u8()) / 64.0;
                self.engine.timeout(self.now);
            }
            (14, _) => {
                let path = Some(Path { endpoint: HOSTILE.endpoint(), relay: 0 });
                let size = i64::from(input.u16()) - 100;
                let spread = vec![HOSTILE.endpoint(); (size & 3) as usize];
                self.order(Command::SetPath { peer: HOSTILE.name(), path, size, spread });
            }
            _ => self.engine.end_batch(&mut self.out),
        }
    }

    // --- from the hostile peer ------------------------------------------------------------------

    fn receive(&mut self, mut train: Vec<u8>, stride: usize) {
        self.datagrams += if stride == 0 { 1 } else { train.len().div_ceil(stride).max(1) };
        self.engine.datagrams(&mut train, stride, HOSTILE.endpoint(), self.now, &mut self.out);
        // frames that wait for the end of the batch lie in `train`, which the queue has copied
    }

    /// The next counter, or one that is old, or one far ahead.
    fn count(&mut self, input: &mut Input<'_>) -> u32 {
        match input.u8() {
            0 => input.u32(),
            1 => self.counter.wrapping_sub(u32::from(input.u16())),
            _ => {
                self.counter = self.counter.wrapping_add(1);
                self.counter
            }
        }
    }

    fn text(input: &mut Input<'_>, flags: u8) -> Vec<u8> {
        match input.u8() & 7 {
            0 => {
                let bytes = usize::from(input.u8());
                input.bytes(bytes).to_vec()
            }
            1 => Self::piece(input),
            _ => {
                let payload = if input.u8() == 0 { 9000 } else { 1460 };
                let is_open = flags & flag::CSUM != 0;
                let one = frame(input, &Wanted { macs: &MACS, payload, is_open });
                let skip = if flags & flag::ELIDED != 0 { 14.min(one.len()) } else { 0 };
                one[skip..].to_vec()
            }
        }
    }

    fn piece(input: &mut Input<'_>) -> Vec<u8> {
        let total = input.one_of(&[15, 60, 1514, 1514, 3000, u16::MAX]);
        let offset = input.one_of(&[0, 0, 1, 15, 700, 757, 1400, u16::MAX]);
        let (number, length) = (u32::from(input.u8() & 31), input.u16() % 1449);
        let mut text = piece_head(number, offset, total).to_vec();
        text.extend(MACS[0]);
        text.extend(THEIRS);
        text.resize(8 + usize::from(length), 8);
        text
    }

    /// Up to 8 datagrams of any flags, one behind the other.
    fn arrive_train(&mut self, input: &mut Input<'_>) {
        let count = 1 + usize::from(input.u8() & 7);
        let flags = match input.u8() & 7 {
            0 => input.u8() & 0x7f,
            1 => flag::FRAG,
            2 | 3 => flag::CSUM | flag::CONT,
            4 => flag::CSUM | flag::ELIDED,
            _ => flag::CSUM,
        };
        let text = Self::text(input, flags);
        let network = if input.u8() < 16 { 0 } else { NETWORK };
        let stride = text.len() + OVERHEAD;
        let mut train = Vec::new();
        for n in 0..count {
            let counter = self.count(input);
            let mut text = text.clone();
            if n > 0 && text.len() > 42 {
                // as TCP counts on: a run that can be merged, or nearly
                let step = u32::from_be_bytes([text[38], text[39], text[40], text[41]])
                    .wrapping_add((n * text.len().saturating_sub(54)) as u32);
                text[38..42].copy_from_slice(&step.to_be_bytes());
            }
            let flags = if n == 0 { flags & !flag::CONT } else { flags };
            train.extend(HOSTILE.sealed(network, flags, counter, &text));
        }
        let told = if input.u8() == 0 { usize::from(input.u8()) } else { stride };
        self.receive(train, told);
    }

    fn arrive_piece(&mut self, input: &mut Input<'_>) {
        let counter = self.count(input);
        let piece = Self::piece(input);
        self.receive(HOSTILE.sealed(NETWORK, flag::FRAG, counter, &piece), 0);
    }

    fn arrive_relayed(&mut self, input: &mut Input<'_>) {
        let relay = input.one_of(&[LEG, LEG, RELAY, RELAY, 0, 79]);
        let count = 1 + usize::from(input.u8() & 63);
        let mut train = Vec::new();
        let counter = self.count(input);
        let text = Self::text(input, flag::CSUM);
        for n in 0..count {
            train.extend(relay_head(relay));
            let counter = counter.wrapping_add(n as u32);
            train.extend(HOSTILE.sealed(NETWORK, flag::CSUM, counter, &text));
        }
        self.counter = self.counter.max(counter.wrapping_add(count as u32));
        let stride = train.len() / count;
        let told = if input.u8() == 0 { usize::from(input.u8()) } else { stride };
        train.truncate(train.len() - usize::from(input.u8()) % stride);
        self.may_leave += if told == 0 { 1 } else { train.len().div_ceil(told) };
        self.receive(train, told);
    }

    // --- from the port --------------------------------------------------------------------------

    /// A frame of the LAN with a virtio header that may say anything.
    fn leave(&mut self, input: &mut Input<'_>) {
        let is_open = input.coin();
        let payload = if input.u8() < 64 { u16::MAX - 60 } else { 1460 };
        let one = frame(input, &Wanted { macs: &MACS, payload, is_open });
        let kind = input.one_of(&[GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp]);
        let gso = l2mesh_core::sink::Gso { kind, size: input.u16(), ecn: input.coin() };
        let open_checksum = open_of(&one).filter(|_| is_open);
        let gso = Some(gso).filter(|_| one.len() > MTU);
        let mut header = virtio::emit(&FrameMeta { open_checksum, gso }, input.u16());
        if input.u8() == 0 {
            header[usize::from(input.u8()) % 10] = input.u8();
        }
        self.engine.frame_with_header(NETWORK, header, &one, self.now, &mut self.out);
        // to both peers, at most a datagram for each byte of payload
        self.may_leave += 2 * (one.len() + 1);
    }

    // --- what came out --------------------------------------------------------------------------

    fn check_outputs(&mut self) {
        self.engine.end_batch(&mut self.out);
        let (mut delivered, mut left) = (0, 0);
        while let Some(output) = self.out.poll() {
            match output {
                Output::Deliver { network, frame, meta } => {
                    assert_eq!(network, NETWORK);
                    delivered += check_delivery(&frame, meta);
                }
                Output::Transmit { .. } => left += 1,
                Output::Train { datagrams, stride, .. } => {
                    let count = datagrams.len().div_ceil(stride);
                    assert!(count > 1 && count <= MAX_TRAIN && datagrams.len() <= MAX_TRAIN_BYTES);
                    left += count;
                }
            }
        }
        assert!(delivered <= self.datagrams, "{delivered} frames of {}", self.datagrams);
        // a handshake under load is answered by a cookie, one for one
        assert!(left <= self.may_leave + self.datagrams);
    }

    fn check_upcalls(&mut self) {
        let bounds = Bounds::default();
        let most = bounds.control_upcalls + bounds.event_upcalls + bounds.handshake_upcalls;
        let count = std::iter::from_fn(|| self.engine.poll_upcall()).count();
        assert!(count <= most + 2, "{count} upcalls");
        let learned = self.engine.fdb(NETWORK, self.now).len();
        assert!(learned <= bounds.fdb_per_peer * 2 + 3, "{learned} stations");
    }

    /// What has nothing to do with the hostile peer goes on.
    fn check_the_honest(&mut self) {
        let mut frame = [OURS, GOOD].concat();
        frame.extend([0x88, 0xb5]);
        frame.resize(100, 1);
        let mut datagram = HONEST.sealed(NETWORK, 0, 0, &frame);
        self.engine.datagram(&mut datagram, HONEST.endpoint(), self.now, &mut self.out);
        self.engine.end_batch(&mut self.out);
        let Some(Output::Deliver { frame: got, .. }) = self.out.poll() else {
            panic!("the honest peer's frame was lost: {:?}", self.engine.counters());
        };
        assert_eq!(got, frame);
        frame[..12].copy_from_slice(&[GOOD, OURS].concat());
        self.engine.frame(NETWORK, &frame, FrameMeta::default(), self.now, &mut self.out);
        let Some(Output::Transmit { endpoint, .. }) = self.out.poll() else {
            panic!("a frame for the honest peer did not leave, bridge {}", self.bridge);
        };
        assert_eq!(endpoint.address, IpAddr::from(Ipv4Addr::new(192, 0, 2, HONEST.0)));
    }
}

/// A kernel takes it: how many frames it stands for.
fn check_delivery(frame: &[u8], meta: FrameMeta) -> usize {
    assert!(frame.len() >= 14, "a runt of {} bytes", frame.len());
    let header = virtio::emit(&meta, 0);
    assert_eq!(virtio::parse(header, frame), Ok(meta));
    let (Some(gso), Some(open)) = (meta.gso, meta.open_checksum) else {
        assert!(meta.gso.is_none(), "a super-frame whose checksum is complete");
        assert!(frame.len() <= MTU + 22, "a giant of {} bytes", frame.len());
        return 1;
    };
    let split = Split::plan(frame, gso, open, usize::MAX).expect("a super-frame");
    assert!(split.stride() <= MTU + 22 && split.count() <= 64);
    split.count()
}

fn member(mac: Mac, bridge: bool) -> Member {
    Member { mac, bridge, ..Member::default() }
}
