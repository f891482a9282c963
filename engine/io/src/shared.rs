//! What the workers of one engine share: the engine behind its lock, and what is told of it.
//!
//! There is one engine, however many workers: what one of them has learned the others know, a limit
//! is a limit of the node, and no counter or replay window has two owners. A worker holds the lock
//! for one frame, or for what one receive buffer holds; it never waits for the kernel meanwhile,
//! but for sending what had waited for a key or a path (`worker`). Locks are taken in the order
//! engine, reports.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use l2mesh_core::Engine;
use l2mesh_core::bounds::Bounds;
use l2mesh_core::command::Command;
use l2mesh_core::random::System;
use l2mesh_core::upcall::Upcall;

use crate::outlet::Port;
use crate::sys::EventFd;

/// Reports that wait to be read.
const REPORTS: usize = 256;

/// What a worker tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The engine's.
    Upcall(Upcall),
    /// The device of a port is gone: `code` is the error's number. Detach it.
    PortLost {
        /// Whose.
        network: u64,
        /// errno.
        code: i32,
    },
    /// A fault of ours; what was at hand is lost, the worker goes on.
    Panicked(String),
    /// A worker is no more, and why.
    Stopped(String),
}

/// The data behind a lock is whole between any two statements, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine, and the latest time that it was told.
#[derive(Debug)]
struct Timed {
    engine: Engine,
    now: f64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    timed: Mutex<Timed>,
    reports: Mutex<VecDeque<Report>>,
    report_ready: EventFd,
    /// Upcalls wait for room.
    is_short: AtomicBool,
    /// Ports whose loss was told.
    lost: Mutex<HashSet<u64>>,
}

impl Shared {
    pub(crate) fn new(engine: Engine) -> io::Result<Self> {
        Ok(Self {
            timed: Mutex::new(Timed { engine, now: f64::NEG_INFINITY }),
            reports: Mutex::default(),
            report_ready: EventFd::new()?,
            is_short: AtomicBool::new(false),
            lost: Mutex::default(),
        })
    }

    /// Does something with the engine at the time `now`, or at the latest that another worker has
    /// told it: for the engine time never goes back.
    pub(crate) fn with<T>(&self, now: f64, work: impl FnOnce(&mut Engine, f64) -> T) -> T {
        let mut timed = lock(&self.timed);
        let Timed { engine, now: latest } = &mut *timed;
        *latest = latest.max(now);
        work(engine, *latest)
    }

    /// Takes the engine out, when no worker is left.
    pub(crate) fn take(&self) -> Engine {
        let fresh = Engine::new(Bounds::default(), Box::new(System::default()));
        std::mem::replace(&mut lock(&self.timed).engine, fresh)
    }

    // --- reports --------------------------------------------------------------------------------

    /// What is no upcall has room always; it is rare.
    pub(crate) fn report(&self, report: Report) {
        lock(&self.reports).push_back(report);
        self.report_ready.signal();
    }

    /// Each worker notices a lost device, and one of them tells.
    pub(crate) fn report_lost(&self, network: u64, code: i32) {
        if lock(&self.lost).insert(network) {
            self.report(Report::PortLost { network, code });
        }
    }

    /// A port has another device.
    pub(crate) fn forget_lost(&self, network: u64) {
        lock(&self.lost).remove(&network);
    }

    /// Ages the engine's tables and reports as many upcalls as there is room for; when it wants to
    /// be called again for its tables.
    pub(crate) fn settle(&self, now: f64) -> Option<f64> {
        let (due, has_told) = self.with(now, |engine, now| {
            if engine.next_timeout().is_some_and(|due| due <= now) {
                engine.timeout(now);
            }
            let has_told = engine.has_upcall();
            if has_told {
                self.report_upcalls(engine);
            }
            (engine.next_timeout(), has_told)
        });
        if has_told {
            self.report_ready.signal();
        }
        due
    }

    fn report_upcalls(&self, engine: &mut Engine) {
        let mut reports = lock(&self.reports);
        while reports.len() < REPORTS {
            let Some(upcall) = engine.poll_upcall() else {
                return self.is_short.store(false, Ordering::Release);
            };
            reports.push_back(Report::Upcall(upcall));
        }
        self.is_short.store(true, Ordering::Release);
    }

    pub(crate) fn report_fd(&self) -> RawFd {
        self.report_ready.fd()
    }

    /// The oldest report, and whether a worker is to be woken for more.
    pub(crate) fn poll_report(&self) -> (Option<Report>, bool) {
        let mut reports = lock(&self.reports);
        let report = reports.pop_front();
        if report.is_none() {
            self.report_ready.clear();
        }
        drop(reports);
        let is_short = report.is_none() && self.is_short.swap(false, Ordering::AcqRel);
        (report, is_short)
    }
}

type Call = Box<dyn FnOnce(&mut Engine, f64) + Send>;

pub(crate) enum Request {
    Execute(Command),
    Call(Call),
    Attach { port: Port, done: SyncSender<io::Result<()>> },
    Detach { network: u64, done: SyncSender<()> },
    Uplinks(Vec<u32>),
    Stop,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("<Request>")
    }
}

/// What one worker is asked to do.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Signalled when there is something.
    pub(crate) wake: EventFd,
    requests: Mutex<VecDeque<Request>>,
    is_over: AtomicBool,
}

impl Inbox {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            wake: EventFd::new()?,
            requests: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// Asks; a request to a worker that is no more is dropped, and who waits for it learns that.
    pub(crate) fn request(&self, request: Request) {
        let mut requests = lock(&self.requests);
        if self.is_over.load(Ordering::Acquire) {
            return;
        }
        let was_empty = requests.is_empty();
        requests.push_back(request);
        drop(requests);
        if was_empty {
            self.wake.signal();
        }
    }

    pub(crate) fn take(&self) -> VecDeque<Request> {
        std::mem::take(&mut *lock(&self.requests))
    }

    /// Nothing is carried out any more; whoever waits for an answer learns it.
    pub(crate) fn end(&self) {
        let mut requests = lock(&self.requests);
        self.is_over.store(true, Ordering::Release);
        requests.clear();
    }
}
