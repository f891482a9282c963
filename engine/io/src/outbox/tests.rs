//! What the outbox does when the kernel refuses what it is given: it drops, counts or tries again, and
//! what comes behind leaves.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::*;
use crate::faults;

const STRIDE: usize = 100;

struct Bench {
    outbox: Outbox,
    counters: Arc<IoCounters>,
    peer: UdpSocket,
    endpoint: Endpoint,
    _socket: UdpSocket,
}

impl Bench {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = peer.local_addr().unwrap();
        let endpoint = Endpoint::new(address.ip(), address.port());
        let counters = Arc::new(IoCounters::default());
        let outbox = Outbox::new(&[socket.as_raw_fd()], Arc::clone(&counters)).unwrap();
        Self { outbox, counters, peer, endpoint, _socket: socket }
    }

    /// One datagram that says `number`, shorter than the one before, so that they form no train.
    fn datagram(&mut self, number: u8) {
        let length = STRIDE + usize::from(number);
        self.outbox.datagram(self.endpoint, length).fill(number);
    }

    /// A train of datagrams that say these numbers.
    fn train(&mut self, numbers: &[u8]) {
        let memory = self.outbox.train(self.endpoint, numbers.len() * STRIDE, STRIDE);
        memory.copy_from_slice(&bytes_of(numbers));
    }

    fn flush(&mut self, codes: &[i32]) -> Sent {
        faults::inject(codes);
        let sent = self.outbox.flush();
        assert_eq!(faults::left(), 0, "fewer calls than expected");
        sent
    }

    /// What the peer receives, which is all that was sent.
    fn assert_received(&self, numbers: &[u8]) {
        let mut buffer = [0; 2048];
        for &number in numbers {
            let length = self.peer.recv(&mut buffer).unwrap();
            assert_eq!((buffer[0], length >= STRIDE), (number, true));
        }
        self.peer.set_nonblocking(true).unwrap();
        assert!(self.peer.recv(&mut buffer).is_err(), "too much has come");
        self.peer.set_nonblocking(false).unwrap();
    }

    fn counted(&self, name: &str) -> u64 {
        let totals = self.counters.totals();
        totals.iter().find(|(one, _)| one == name).map_or(0, |(_, count)| *count)
    }
}

fn bytes_of(numbers: &[u8]) -> Vec<u8> {
    numbers.iter().flat_map(|&number| [number; STRIDE]).collect()
}

#[test]
fn what_the_kernel_refuses_is_counted_by_its_reason_and_the_rest_leaves() {
    for (code, name) in [
        (libc::EIO, "eio"),
        (libc::EMSGSIZE, "emsgsize"),
        (libc::ENETUNREACH, "enetunreach"),
        (libc::EPERM, "eperm"),
        (libc::EINVAL, "einval"),
    ] {
        let mut bench = Bench::new();
        (1..=3).for_each(|number| bench.datagram(number));
        assert_eq!(bench.flush(&[code]), Sent::All);
        bench.assert_received(&[2, 3]);
        assert_eq!(bench.counted(&format!("underlay_send_{name}")), 1);
    }
}

#[test]
fn without_memory_in_the_kernel_few_tries_follow() {
    let mut bench = Bench::new();
    (1..=2).for_each(|number| bench.datagram(number));
    assert_eq!(bench.flush(&[libc::ENOBUFS; 3]), Sent::All);
    bench.assert_received(&[1, 2]);
    assert_eq!(bench.counted("underlay_send_enobufs"), 0);
    (1..=2).for_each(|number| bench.datagram(number));
    assert_eq!(bench.flush(&[libc::ENOBUFS; 1 + TRIES]), Sent::All);
    bench.assert_received(&[2]);
    assert_eq!(bench.counted("underlay_send_enobufs"), 1);
}

#[test]
fn a_way_without_segmentation_is_remembered_for_a_while() {
    for code in [libc::EIO, libc::EINVAL] {
        let mut bench = Bench::new();
        bench.train(&[1, 2, 3]);
        assert_eq!(bench.flush(&[code]), Sent::All);
        bench.train(&[4, 5]);
        assert_eq!(bench.flush(&[]), Sent::All);
        assert_eq!((bench.counted("udp_gso_refused"), bench.counted("udp_send_trains")), (1, 0));
        bench.outbox.now += REFUSED_S;
        bench.train(&[6, 7]);
        assert_eq!(bench.flush(&[]), Sent::All);
        bench.assert_received(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(bench.counted("udp_send_trains"), 1);
    }
}

#[test]
fn a_train_too_large_for_the_path_says_nothing_of_segmentation() {
    let mut bench = Bench::new();
    bench.train(&[1, 2, 3]);
    assert_eq!(bench.flush(&[libc::EMSGSIZE, libc::EMSGSIZE]), Sent::All);
    bench.train(&[4, 5]);
    assert_eq!(bench.flush(&[]), Sent::All);
    bench.assert_received(&[2, 3, 4, 5]);
    assert_eq!(bench.counted("underlay_send_emsgsize"), 1);
    assert_eq!((bench.counted("udp_gso_refused"), bench.counted("udp_send_trains")), (1, 1));
}

#[test]
fn a_full_socket_loses_nothing() {
    let mut bench = Bench::new();
    bench.train(&[1, 2]);
    bench.datagram(3);
    assert_eq!(bench.flush(&[libc::EAGAIN]), Sent::Blocked);
    assert!(bench.outbox.full().is_some());
    bench.assert_received(&[]);
    bench.outbox.unblock();
    assert_eq!(bench.flush(&[]), Sent::All);
    bench.assert_received(&[1, 2, 3]);
}

#[test]
fn what_is_forwarded_leaves_from_the_receive_buffer_behind_what_came_before() {
    let mut bench = Bench::new();
    let mut buffer = vec![0; 30];
    let numbers: Vec<u8> = (1..=50).collect();
    buffer.extend(bytes_of(&numbers));
    bench.datagram(99);
    bench.outbox.forward(bench.endpoint, &Run { bytes: &buffer[30..], stride: STRIDE, place: 30 });
    let tail = Run { bytes: &buffer[30..30 + STRIDE], stride: STRIDE, place: 30 };
    bench.outbox.forward(bench.endpoint, &tail);
    bench.outbox.send_forwards(&buffer);
    bench.assert_received(&[&[99], &numbers[..], &[1]].concat());
    assert_eq!(bench.outbox.used, 0);
    assert_eq!((bench.counted("udp_send_calls"), bench.counted("udp_send_trains")), (3, 1));
}

#[test]
fn what_is_forwarded_and_not_taken_at_once_is_kept_in_order() {
    for (codes, most) in [(&[libc::EAGAIN][..], 50), (&[libc::EIO, libc::EIO][..], 50)] {
        let mut bench = Bench::new();
        let numbers: Vec<u8> = (1..=most).collect();
        let buffer = bytes_of(&numbers);
        for _ in 0..2 {
            let run = Run { bytes: &buffer, stride: STRIDE, place: 0 };
            bench.outbox.forward(bench.endpoint, &run);
        }
        faults::inject(codes);
        bench.outbox.send_forwards(&buffer);
        assert_eq!(bench.flush(&[]), Sent::All);
        bench.assert_received(&[&numbers[..], &numbers].concat());
    }
}

#[test]
fn short_runs_are_copied_and_leave_together() {
    let mut bench = Bench::new();
    for number in 1..=3 {
        let buffer = bytes_of(&[number]);
        bench.outbox.forward(bench.endpoint, &Run { bytes: &buffer, stride: STRIDE, place: 0 });
        bench.outbox.send_forwards(&buffer);
    }
    assert_eq!(bench.flush(&[]), Sent::All);
    bench.assert_received(&[1, 2, 3]);
    assert_eq!(bench.counted("udp_send_trains"), 1);
}
