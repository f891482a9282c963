//! The engine on its threads, as the control plane sees it: requests in, reports out, no waiting.
//!
//! Each worker has an inbox with an eventfd; commands go to the first worker, in order. Reports are
//! bounded, and their eventfd is for the event loop of whoever reads them. Upcalls stay in the
//! engine's own queues, which are fair, as long as there is no room for them here.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use l2mesh_core::Engine;
use l2mesh_core::command::Command;
use l2mesh_core::offload::coalesce::Switches;

use crate::Options;
use crate::counters::{IoCounters, count};
use crate::outlet::Port;
use crate::shared::{Inbox, Report, Request, Shared};
use crate::standing::Standing;
use crate::sys::boot_clock;
use crate::tap::TapOffloads;
use crate::worker::Worker;

/// So many faults of ours within `PANICS_S` and a worker gives up.
const MOST_PANICS: usize = 16;
const PANICS_S: f64 = 60.0;

/// The descriptors of one port, which stay their owner's.
#[derive(Clone, Copy, Debug)]
pub struct PortFds<'a> {
    /// Read, by one worker each: at most as many as there are workers.
    pub queues: &'a [RawFd],
    /// Written, by all workers; it may be one of `queues`.
    pub write: RawFd,
}

/// One worker as others see it.
#[derive(Debug)]
struct Handle {
    inbox: Arc<Inbox>,
    counters: Arc<IoCounters>,
    thread: Option<JoinHandle<bool>>,
}

/// A running engine. Dropping it stops the threads.
#[derive(Debug)]
pub struct Runner {
    shared: Arc<Shared>,
    /// At least one.
    workers: Vec<Handle>,
}

impl Runner {
    /// Lets `engine` carry what comes from `groups`, one group of sockets for each worker: at most
    /// one UDP socket a family, bound and non-blocking, those of all groups to the same port; and
    /// the same side door in each, which the first worker reads. They stay their owner's, and open
    /// until after `stop`.
    ///
    /// # Errors
    /// A descriptor is no socket, there is no group, or the system has no more of something.
    pub fn start(engine: Engine, groups: &[Vec<RawFd>], options: Options) -> io::Result<Self> {
        if groups.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let shared = Arc::new(Shared::new(engine)?);
        let mut workers = Vec::with_capacity(groups.len());
        for number in 0..groups.len() {
            let inbox = Arc::new(Inbox::new()?);
            let worker = Worker::new(number, groups, options, &shared, &inbox)?;
            workers.push((inbox, worker));
        }
        let mut runner = Self { shared, workers: Vec::with_capacity(workers.len()) };
        for (number, (inbox, worker)) in workers.into_iter().enumerate() {
            let (shared, theirs) = (Arc::clone(&runner.shared), Arc::clone(&inbox));
            let counters = worker.counters();
            let thread = std::thread::Builder::new()
                .name(format!("l2mesh-worker{number}"))
                .spawn(move || work(worker, &shared, &theirs))?;
            runner.workers.push(Handle { inbox, counters, thread: Some(thread) });
        }
        Ok(runner)
    }

    /// Carries out a command, after those before it.
    pub fn execute(&self, command: Command) {
        self.workers[0].inbox.request(Request::Execute(command));
    }

    /// Asks the engine something and waits for the answer, at most for one batch; None when the
    /// first worker is no more.
    pub fn ask<Answer: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine, f64) -> Answer + Send + 'static,
    ) -> Option<Answer> {
        let (answer, answered) = sync_channel(1);
        self.workers[0].inbox.request(Request::Call(Box::new(move |engine, now| {
            let _ = answer.send(question(engine, now));
        })));
        answered.recv().ok()
    }

    /// Reads frames of `network` from `fds` and writes them there. They are non-blocking and stay
    /// open until after `detach_port`; a port attached before is replaced. `offloads` are what
    /// `tap::set_offloads` gave; None: there is no virtio header.
    ///
    /// # Errors
    /// A descriptor cannot be polled, there are more queues than workers, or a worker is no more.
    pub fn attach_port(
        &self,
        network: u64,
        fds: PortFds<'_>,
        offloads: Option<TapOffloads>,
    ) -> io::Result<()> {
        if fds.queues.len() > self.workers.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.detach_port(network);
        self.shared.forget_lost(network);
        let known = offloads.unwrap_or(TapOffloads::NONE);
        for (number, worker) in self.workers.iter().enumerate() {
            let port = Port {
                network,
                queue: fds.queues.get(number).copied(),
                fd: fds.write,
                has_vnet: offloads.is_some(),
                switches: Switches { tcp: known.tso, udp: known.uso },
                is_lost: false,
                standing: Standing::NEW,
            };
            let (done, is_done) = sync_channel(1);
            worker.inbox.request(Request::Attach { port, done });
            let attached = is_done.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
            if attached.is_err() {
                self.detach_port(network);
                return attached;
            }
        }
        Ok(())
    }

    /// Lets go of a network's descriptors: when this returns they may be closed.
    pub fn detach_port(&self, network: u64) {
        for worker in &self.workers {
            let (done, is_done) = sync_channel(1);
            worker.inbox.request(Request::Detach { network, done });
            let _ = is_done.recv();
        }
    }

    /// Tells of these interfaces when datagrams come by them, where the sockets' owner has asked
    /// the kernel for it (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
    pub fn set_uplinks(&self, uplinks: &[u32]) {
        for worker in &self.workers {
            worker.inbox.request(Request::Uplinks(uplinks.to_vec()));
        }
    }

    /// Becomes readable when there are reports; `poll_report` until there is none.
    #[must_use]
    pub fn report_fd(&self) -> RawFd {
        self.shared.report_fd()
    }

    /// The oldest report. The descriptor is quiet again once there is none.
    #[must_use]
    pub fn poll_report(&self) -> Option<Report> {
        let (report, is_short) = self.shared.poll_report();
        if is_short {
            self.workers[0].inbox.wake.signal();
        }
        report
    }

    /// What the workers counted, all together.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        let mut sums = BTreeMap::new();
        for (name, total) in self.workers.iter().flat_map(|worker| worker.counters.totals()) {
            *sums.entry(name).or_default() += total;
        }
        sums.into_iter().collect()
    }

    /// Ends the threads and gives the engine back, if all have survived. Descriptors may then
    /// close.
    pub fn stop(&mut self) -> Option<Engine> {
        for worker in &self.workers {
            worker.inbox.request(Request::Stop);
        }
        let mut is_whole = true;
        for worker in &mut self.workers {
            let thread = worker.thread.take()?;
            is_whole &= thread.join().unwrap_or(false);
        }
        let engine = self.shared.take();
        is_whole.then_some(engine)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a worker until it is stopped; whether nothing else ended it.
fn work(mut worker: Worker, shared: &Shared, inbox: &Inbox) -> bool {
    let counters = worker.counters();
    worker.settle_in();
    let mut panics = VecDeque::new();
    let end = loop {
        // The worker's parts and the engine stay within their bounds at every step; a panic can
        // leave a frame half-way, never memory or keys in disorder.
        match catch_unwind(AssertUnwindSafe(|| worker.run())) {
            Ok(Ok(())) => break None,
            Ok(Err(error)) => break Some(error.to_string()),
            Err(fault) => {
                count(&counters.worker_panics, 1);
                let message = message_of(&*fault);
                let recovered = catch_unwind(AssertUnwindSafe(|| worker.recover()));
                if is_too_often(&mut panics, boot_clock()) || recovered.is_err() {
                    break Some(message);
                }
                shared.report(Report::Panicked(message));
            }
        }
    };
    inbox.end();
    let is_whole = end.is_none();
    if let Some(why) = end {
        shared.report(Report::Stopped(why));
    }
    is_whole
}

/// Whether with a panic `now` there were too many of late.
fn is_too_often(panics: &mut VecDeque<f64>, now: f64) -> bool {
    panics.push_back(now);
    while panics.front().is_some_and(|then| now - then >= PANICS_S) {
        panics.pop_front();
    }
    panics.len() >= MOST_PANICS
}

fn message_of(fault: &(dyn Any + Send)) -> String {
    let text = fault.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| fault.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_count_together_within_a_minute_alone() {
        let mut panics = VecDeque::new();
        assert!((0..40).all(|n| !is_too_often(&mut panics, f64::from(n) * 4.0)));
        let before = panics.len();
        let answers: Vec<bool> = (0..4).map(|_| is_too_often(&mut panics, 157.0)).collect();
        assert_eq!((before, answers), (15, vec![true; 4]));
        assert!(!is_too_often(&mut panics, 217.0));
    }
}
