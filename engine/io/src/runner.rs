//! The engine on its thread, as the control plane sees it: requests in, reports out, no waiting.
//!
//! Two queues and two eventfds. Requests wake the worker; reports are bounded, and their eventfd is
//! for the event loop of whoever reads them. Upcalls stay in the engine's own queues, which are
//! fair, as long as there is no room for them here. No lock is held while anything is carried out.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use l2mesh_core::Engine;
use l2mesh_core::command::Command;
use l2mesh_core::offload::coalesce::Switches;
use l2mesh_core::upcall::Upcall;

use crate::Options;
use crate::counters::{IoCounters, count};
use crate::outlet::Port;
use crate::sys::EventFd;
use crate::tap::TapOffloads;
use crate::worker::Worker;

/// Reports that wait to be read.
const REPORTS: usize = 256;
/// Faults of ours after which the worker gives up.
const MOST_PANICS: usize = 16;

type Call = Box<dyn FnOnce(&mut Engine, f64) + Send>;

pub(crate) enum Request {
    Execute(Command),
    Call(Call),
    Attach { port: Port, done: SyncSender<io::Result<()>> },
    Detach { network: u64, done: SyncSender<()> },
    Stop,
}

/// What the worker tells.
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
    /// The worker is no more, and why.
    Stopped(String),
}

/// What worker and control plane share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) wake: EventFd,
    pub(crate) counters: Arc<IoCounters>,
    requests: Mutex<VecDeque<Request>>,
    reports: Mutex<VecDeque<Report>>,
    report_ready: EventFd,
    /// Upcalls wait for room.
    is_short: AtomicBool,
    is_over: AtomicBool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("<Request>")
    }
}

/// The data behind a lock is whole between any two statements, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new() -> io::Result<Self> {
        Ok(Self {
            wake: EventFd::new()?,
            counters: Arc::default(),
            requests: Mutex::default(),
            reports: Mutex::default(),
            report_ready: EventFd::new()?,
            is_short: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        })
    }

    fn request(&self, request: Request) {
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

    pub(crate) fn take_requests(&self) -> VecDeque<Request> {
        std::mem::take(&mut *lock(&self.requests))
    }

    /// Whether an upcall could be reported.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.reports).len() < REPORTS
    }

    /// What is no upcall has room always; it is rare.
    pub(crate) fn report(&self, report: Report) {
        lock(&self.reports).push_back(report);
        self.report_ready.signal();
    }

    /// As many upcalls as there is room for.
    pub(crate) fn report_upcalls(&self, mut poll: impl FnMut() -> Option<Upcall>) {
        let mut reports = lock(&self.reports);
        while reports.len() < REPORTS {
            let Some(upcall) = poll() else {
                self.is_short.store(false, Ordering::Release);
                drop(reports);
                return self.report_ready.signal();
            };
            reports.push_back(Report::Upcall(upcall));
        }
        self.is_short.store(true, Ordering::Release);
        drop(reports);
        self.report_ready.signal();
    }

    /// Nothing is carried out any more; whoever waits for an answer learns it.
    fn end(&self) {
        let mut requests = lock(&self.requests);
        self.is_over.store(true, Ordering::Release);
        requests.clear();
    }
}

/// A running engine. Dropping it stops the thread.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Option<Engine>>>,
}

impl Runner {
    /// Lets `engine` carry what comes from `sockets`: at most one UDP socket a family, bound and
    /// non-blocking. They stay their owner's, and open until after `stop`.
    ///
    /// # Errors
    /// A descriptor is no socket, or the system has no more of something.
    pub fn start(engine: Engine, sockets: &[RawFd], options: Options) -> io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        let worker = Worker::new(engine, sockets, options, Arc::clone(&shared))?;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("l2mesh-worker".to_owned())
            .spawn(move || work(worker, &theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Carries out a command, after those before it.
    pub fn execute(&self, command: Command) {
        self.shared.request(Request::Execute(command));
    }

    /// Asks the engine something and waits for the answer, at most for one batch; None when the
    /// worker is no more.
    pub fn ask<Answer: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, f64) -> Answer + Send + 'static,
    ) -> Option<Answer> {
        let (answer, answered) = sync_channel(1);
        let call: Call = Box::new(move |engine, now| {
            let _ = answer.send(question(engine, now));
        });
        self.shared.request(Request::Call(call));
        answered.recv().ok()
    }

    /// Reads frames of `network` from `fd` and writes them to it. `fd` is non-blocking and stays
    /// open until after `detach_port`; a port attached before is replaced. `offloads` are what
    /// `tap::set_offloads` gave; None: there is no virtio header.
    ///
    /// # Errors
    /// The descriptor cannot be polled, or the worker is no more.
    pub fn attach_port(
        &self,
        network: u64,
        fd: RawFd,
        offloads: Option<TapOffloads>,
    ) -> io::Result<()> {
        let known = offloads.unwrap_or(TapOffloads::NONE);
        let port = Port {
            network,
            fd,
            has_vnet: offloads.is_some(),
            switches: Switches { tcp: known.tso, udp: known.uso },
            is_lost: false,
        };
        let (done, is_done) = sync_channel(1);
        self.shared.request(Request::Attach { port, done });
        is_done.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Lets go of a network's descriptor: when this returns it may be closed.
    pub fn detach_port(&self, network: u64) {
        let (done, is_done) = sync_channel(1);
        self.shared.request(Request::Detach { network, done });
        let _ = is_done.recv();
    }

    /// Becomes readable when there are reports; `poll_report` until there is none.
    #[must_use]
    pub fn report_fd(&self) -> RawFd {
        self.shared.report_ready.fd()
    }

    /// The oldest report. The descriptor is quiet again once there is none.
    #[must_use]
    pub fn poll_report(&self) -> Option<Report> {
        let mut reports = lock(&self.shared.reports);
        let report = reports.pop_front();
        if report.is_none() {
            self.shared.report_ready.clear();
        }
        drop(reports);
        if report.is_none() && self.shared.is_short.swap(false, Ordering::AcqRel) {
            self.shared.wake.signal();
        }
        report
    }

    /// What the worker counted.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        self.shared.counters.totals()
    }

    /// Ends the thread and gives the engine back, if it has survived. Descriptors may then close.
    pub fn stop(&mut self) -> Option<Engine> {
        let thread = self.thread.take()?;
        self.shared.request(Request::Stop);
        thread.join().ok().flatten()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(mut worker: Worker, shared: &Shared) -> Option<Engine> {
    let mut panics = 0;
    let end = loop {
        // The worker's parts stay within their bounds at every step; a panic can leave a frame
        // half-way, never memory or keys in disorder.
        match catch_unwind(AssertUnwindSafe(|| worker.run())) {
            Ok(Ok(())) => break None,
            Ok(Err(error)) => break Some(error.to_string()),
            Err(fault) => {
                count(&shared.counters.worker_panics, 1);
                let message = message_of(&*fault);
                panics += 1;
                let recovered = catch_unwind(AssertUnwindSafe(|| worker.recover()));
                if panics >= MOST_PANICS || recovered.is_err() {
                    break Some(message);
                }
                shared.report(Report::Panicked(message));
            }
        }
    };
    shared.end();
    if let Some(why) = end {
        shared.report(Report::Stopped(why));
        return None;
    }
    Some(worker.into_engine())
}

fn message_of(fault: &(dyn Any + Send)) -> String {
    let text = fault.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| fault.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}
