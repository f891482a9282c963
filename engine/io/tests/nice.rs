//! What the scheduler is told of workers. Alone in its process, where there is no other worker.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use l2mesh_core::Engine;
use l2mesh_core::bounds::Bounds;
use l2mesh_core::random::System;
use l2mesh_io::{Options, Runner};

/// Of the threads whose names begin so (proc(5): field 19 of stat).
fn niceness(name: &str) -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let stats = tasks.map(|task| fs::read_to_string(task.join("stat")).unwrap());
    let named = stats.filter(|stat| stat.contains(&format!("({name}")));
    named
        .map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse().unwrap())
        .collect()
}

#[test]
fn workers_have_the_niceness_that_was_chosen_and_nobody_else_has() {
    let own = niceness("workers_have")[0];
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let engine = Engine::new(Bounds::default(), Box::new(System::default()));
    let options = Options { nice: 3, ..Options::default() };
    let runner = Runner::start(engine, &[vec![socket.as_raw_fd()]], options).unwrap();
    // an answer says that the thread has settled in
    runner.ask(|_, _| ()).unwrap();
    assert_eq!(niceness("l2mesh-worker"), [(own + 3).min(19)]);
    assert_eq!(niceness("workers_have"), [own]);
    assert!(runner.counters().iter().all(|(name, _)| !name.starts_with("worker_nice")));
}
