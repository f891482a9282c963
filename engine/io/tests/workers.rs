//! Two workers and one engine: what one of them sees the other knows, and nobody counts twice.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use l2mesh_core::aead::{Aead, Cipher, KeyMaterial, Library};
use l2mesh_core::bounds::Bounds;
use l2mesh_core::command::Command;
use l2mesh_core::header::data_word;
use l2mesh_core::random::System;
use l2mesh_core::rights::Member;
use l2mesh_core::upcall::Upcall;
use l2mesh_core::{Endpoint, Engine, Path};
use l2mesh_io::{Options, PortFds, Report, Runner};

const NETWORK: u64 = 7;
const SESSION: u64 = 5;
const INDEX: u32 = 0x1_0203;
const PEER: [u8; 32] = [9; 32];
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Behind the peer, which bridges.
const STATION: [u8; 6] = [2, 0, 0, 0, 0, 0x77];
const PATIENCE: Duration = Duration::from_secs(10);
const WORKERS: usize = 2;

fn material() -> KeyMaterial {
    KeyMaterial { cipher: Cipher::Aes256Gcm, key: [3; 32].into(), salt: [4; 4] }
}

fn frame(destination: [u8; 6], source: [u8; 6], number: u32) -> Vec<u8> {
    let mut frame = [destination, source].concat();
    frame.extend([0x88, 0xb5]);
    frame.extend(number.to_be_bytes());
    frame.resize(64, 0);
    frame
}

fn number_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..18].try_into().unwrap())
}

/// A frame of the peer as a datagram.
fn sealed(counter: u32, frame: &[u8]) -> Vec<u8> {
    let mut datagram = data_word(0, INDEX).to_be_bytes().to_vec();
    datagram.extend(counter.to_be_bytes());
    datagram.extend_from_slice(frame);
    datagram.extend([0; 16]);
    Library::new(&material()).seal(counter, &mut datagram);
    datagram
}

/// Two workers, each with a socket and a queue of the one port; and the peer's socket.
struct Bench {
    runner: Runner,
    sockets: Vec<UdpSocket>,
    /// Far ends of what the workers read.
    lan: Vec<UnixDatagram>,
    _queues: Vec<UnixDatagram>,
    /// The far end of what they write.
    written: UnixDatagram,
    _write: UnixDatagram,
    peer: UdpSocket,
}

impl Bench {
    fn new(bounds: Bounds) -> Self {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let sockets: Vec<UdpSocket> = (0..WORKERS)
            .map(|_| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_nonblocking(true).unwrap();
                socket
            })
            .collect();
        let groups: Vec<_> = sockets.iter().map(|socket| vec![socket.as_raw_fd()]).collect();
        let engine = Engine::new(bounds, Box::new(System::default()));
        let runner = Runner::start(engine, &groups, Options::default()).unwrap();
        let (queues, lan): (Vec<_>, Vec<_>) =
            (0..WORKERS).map(|_| UnixDatagram::pair().unwrap()).unzip();
        let (write, written) = UnixDatagram::pair().unwrap();
        for end in queues.iter().chain([&write]) {
            end.set_nonblocking(true).unwrap();
        }
        written.set_read_timeout(Some(PATIENCE)).unwrap();
        let fds: Vec<_> = queues.iter().map(AsRawFd::as_raw_fd).collect();
        let fds = PortFds { queues: &fds, write: write.as_raw_fd() };
        let bench = Self { runner, sockets, lan, _queues: queues, written, _write: write, peer };
        bench.introduce();
        bench.runner.attach_port(NETWORK, fds, None).unwrap();
        bench
    }

    fn introduce(&self) {
        let address = self.peer.local_addr().unwrap();
        let endpoint = Endpoint::new(address.ip(), address.port());
        let member = |mac, bridge| Member { mac, bridge, ..Member::default() };
        let (peer, session, network, index) = (PEER, SESSION, NETWORK, INDEX);
        for command in [
            Command::OpenPort { network, own: member(OURS, true), mtu: 1500 },
            Command::SetMember { network, peer, member: member(THEIRS, true) },
            Command::SetPath {
                peer,
                path: Some(Path { endpoint, relay: 0 }),
                size: 1472,
                spread: Vec::new(),
            },
            Command::InstallReceive {
                peer,
                session,
                network,
                index,
                material: material(),
                elided: None,
            },
            Command::InstallSend {
                peer,
                session,
                network,
                lane: 0,
                index,
                material: material(),
                elided: None,
            },
        ] {
            self.runner.execute(command);
        }
    }

    /// Has a command carried out before any worker reads what comes after it.
    fn execute(&self, command: Command) {
        self.runner.execute(command);
        assert_eq!(self.runner.ask(|_, _| ()), Some(()));
    }

    /// Sends a datagram of the peer's to one worker.
    fn tell(&self, worker: usize, datagram: &[u8]) {
        self.peer.send_to(datagram, self.sockets[worker].local_addr().unwrap()).unwrap();
    }

    fn drops(&self) -> BTreeMap<&'static str, u64> {
        let drops = |engine: &mut Engine, _: f64| -> Vec<_> {
            engine.counters().drops().map(|(reason, count)| (reason.name(), count)).collect()
        };
        self.runner.ask(drops).unwrap().into_iter().collect()
    }

    fn wait(&self, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < end, "it did not come");
            thread::yield_now();
        }
    }

    /// The next frame written to the port, None when there is none at the moment.
    fn read(&self) -> Option<Vec<u8>> {
        let mut frame = [0; 2048];
        match self.written.recv(&mut frame) {
            Ok(length) => Some(frame[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// What the peer gets: index and counter.
    fn counter_on(&self) -> (u32, u32) {
        let mut datagram = [0; 2048];
        let length = self.peer.recv(&mut datagram).unwrap();
        assert!(length > 24);
        let word = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().unwrap());
        (word(0) & 0xff_ffff, word(4))
    }

    fn counter(&self) -> u32 {
        self.counter_on().1
    }
}

#[test]
fn what_two_workers_get_at_once_is_accepted_once() {
    const DATAGRAMS: u32 = 3000;
    let bench = Bench::new(Bounds::default());
    let datagrams: Vec<_> = (0..DATAGRAMS).map(|n| sealed(n, &frame(OURS, THEIRS, n))).collect();
    let mut came = HashSet::new();
    // as many as the sockets' buffers hold, each to both
    for some in datagrams.chunks(50) {
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let bench = &bench;
                scope.spawn(move || some.iter().for_each(|one| bench.tell(worker, one)));
            }
        });
        for _ in some {
            let frame = bench.read().expect("each arrives");
            assert!(came.insert(number_of(&frame)), "twice");
        }
    }
    bench.wait(|bench| bench.drops().get("replay") == Some(&u64::from(DATAGRAMS)));
    bench.written.set_nonblocking(true).unwrap();
    assert_eq!((bench.read(), came.len()), (None, DATAGRAMS as usize));
    assert_eq!(bench.drops().len(), 1);
}

#[test]
fn no_counter_is_used_twice_and_the_limit_holds_for_all_workers_together() {
    // few enough for the buffer of the peer's socket
    const LIMIT: u64 = 200;
    let bench =
        Bench::new(Bounds { refuse_counter: LIMIT, rekey_counter: 150, ..Bounds::default() });
    thread::scope(|scope| {
        for lan in &bench.lan {
            scope.spawn(|| {
                // a socket that is full blocks the sender, so nothing is lost
                for n in 0..150 {
                    lan.send(&frame(THEIRS, OURS, n)).unwrap();
                }
            });
        }
    });
    let counters: HashSet<u32> = (0..LIMIT).map(|_| bench.counter()).collect();
    assert_eq!(counters, (0..LIMIT as u32).collect());
    bench.wait(|bench| bench.drops().get("counter_spent") == Some(&(300 - LIMIT)));
    let spent = Upcall::KeySpent { peer: PEER, session: SESSION };
    let told = std::iter::from_fn(|| bench.runner.poll_report());
    assert_eq!(told.filter(|one| *one == Report::Upcall(spent.clone())).count(), 1);
}

#[test]
fn each_worker_counts_by_itself_on_a_lane_of_its_own() {
    const FRAMES: u32 = 60;
    let bench = Bench::new(Bounds::default());
    bench.execute(Command::InstallSend {
        peer: PEER,
        session: SESSION,
        network: NETWORK,
        lane: 1,
        index: INDEX + 1,
        material: material(),
        elided: None,
    });
    thread::scope(|scope| {
        for lan in &bench.lan {
            scope.spawn(|| {
                for n in 0..FRAMES {
                    lan.send(&frame(THEIRS, OURS, n)).unwrap();
                }
            });
        }
    });
    let mut came: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for _ in 0..FRAMES * 2 {
        let (index, counter) = bench.counter_on();
        came.entry(index).or_default().push(counter);
    }
    let all: Vec<u32> = (0..FRAMES).collect();
    assert_eq!(came, BTreeMap::from([(INDEX, all.clone()), (INDEX + 1, all)]));
}

#[test]
fn both_know_a_station_that_one_has_learned_and_a_command_is_for_both() {
    let bench = Bench::new(Bounds::default());
    bench.tell(1, &sealed(0, &frame(OURS, STATION, 1)));
    assert_eq!(number_of(&bench.read().unwrap()), 1);
    for (counter, lan) in bench.lan.iter().enumerate() {
        lan.send(&frame(STATION, OURS, 0)).unwrap();
        assert_eq!(bench.counter(), counter as u32);
    }
    let flooded = |engine: &mut Engine, _: f64| engine.counters().frames_flooded;
    assert_eq!(bench.runner.ask(flooded), Some(0));
    bench.execute(Command::ClosePort { network: NETWORK });
    for lan in &bench.lan {
        lan.send(&frame(STATION, OURS, 0)).unwrap();
    }
    bench.wait(|bench| bench.drops().get("no_port") == Some(&2));
}

#[test]
fn a_device_that_is_lost_to_all_is_told_once() {
    let mut bench = Bench::new(Bounds::default());
    let (broken, _) = io::pipe().unwrap();
    let fds = [broken.as_raw_fd()];
    let error = bench.runner.attach_port(NETWORK, PortFds { queues: &[0; 3], write: 0 }, None);
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    // it can be polled and not be written to: EBADF, for each of them
    bench.runner.attach_port(NETWORK, PortFds { queues: &fds, write: fds[0] }, None).unwrap();
    (0..2).for_each(|n| bench.tell(n, &sealed(n as u32, &frame(OURS, THEIRS, 0))));
    let mut told = Vec::new();
    let end = Instant::now() + PATIENCE;
    while bench.runner.counters().iter().find(|one| one.0 == "port_write_ebadf").map(|one| one.1)
        != Some(2)
    {
        assert!(Instant::now() < end, "nobody tried");
        thread::yield_now();
    }
    assert!(bench.runner.stop().is_some());
    while let Some(report) = bench.runner.poll_report() {
        told.extend(matches!(report, Report::PortLost { network: NETWORK, .. }).then_some(()));
    }
    assert_eq!(told.len(), 1);
}
