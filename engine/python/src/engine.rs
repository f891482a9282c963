//! The class `Engine`: one engine behind a lock.

use std::sync::{Arc, Mutex, PoisonError};

use l2mesh_core::bounds::Bounds;
use l2mesh_core::collect::Queue;
use l2mesh_core::random::{Random, System};
use l2mesh_core::sink::FrameMeta;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::command::read_command;
use crate::output::{make_activity, make_captured, make_fdb_entry, make_output, make_upcall};
use crate::random::Callable;
use crate::types::{classes, read_endpoint};

/// Engine and what it has given out.
struct State {
    engine: l2mesh_core::Engine,
    queue: Queue,
}

/// See `_native.pyi`.
#[pyclass(frozen, module = "l2mesh.datapath._native")]
pub(crate) struct Engine {
    state: Arc<Mutex<State>>,
}

impl Engine {
    /// Does something with the engine, without the GIL: it is never held while waiting for the lock.
    fn with<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&mut State) -> T + Send) -> T {
        py.detach(|| work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The engine itself, for a runner; one that knows nobody takes its place.
    pub(crate) fn take(&self, py: Python<'_>) -> l2mesh_core::Engine {
        let fresh = l2mesh_core::Engine::new(Bounds::default(), Box::new(System::default()));
        self.with(py, |state| std::mem::replace(&mut state.engine, fresh))
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (random=None, bounds=None))]
    fn new(random: Option<Py<PyAny>>, bounds: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let random: Box<dyn Random> = match random {
            Some(random) => Box::new(Callable(random)),
            None => Box::new(System::default()),
        };
        let bounds = bounds.map_or_else(|| Ok(Bounds::default()), read_bounds)?;
        let engine = l2mesh_core::Engine::new(bounds, random);
        Ok(Self { state: Arc::new(Mutex::new(State { engine, queue: Queue::default() })) })
    }

    fn execute(&self, py: Python<'_>, command: &Bound<'_, PyAny>, now: f64) -> PyResult<()> {
        let command = read_command(command)?;
        self.with(py, |State { engine, queue }| engine.execute(command, now, queue));
        Ok(())
    }

    #[pyo3(signature = (network, frame, now, offload=None))]
    fn handle_frame(
        &self,
        py: Python<'_>,
        network: u64,
        frame: &[u8],
        now: f64,
        offload: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let header = offload.map(read_offload).transpose()?;
        self.with(py, |State { engine, queue }| match header {
            None => engine.frame(network, frame, FrameMeta::default(), now, queue),
            Some(header) => engine.frame_with_header(network, header, frame, now, queue),
        });
        Ok(())
    }

    fn handle_datagram(
        &self,
        py: Python<'_>,
        datagram: &[u8],
        source: &Bound<'_, PyAny>,
        now: f64,
    ) -> PyResult<()> {
        let source = read_endpoint(source)?;
        self.with(py, |State { engine, queue }| {
            engine.datagram(&mut datagram.to_vec(), source, now, queue);
            engine.end_batch(queue);
        });
        Ok(())
    }

    fn handle_datagrams(&self, py: Python<'_>, batch: &Bound<'_, PyAny>, now: f64) -> PyResult<()> {
        let mut runs = Vec::new();
        for one in batch.try_iter()? {
            let (datagrams, stride, source): (Vec<u8>, usize, Bound<'_, PyAny>) = one?.extract()?;
            runs.push((datagrams, stride, read_endpoint(&source)?));
        }
        self.with(py, |State { engine, queue }| {
            for (datagrams, stride, source) in &mut runs {
                engine.datagrams(datagrams, *stride, *source, now, queue);
            }
            engine.end_batch(queue);
        });
        Ok(())
    }

    fn handle_timeout(&self, py: Python<'_>, now: f64) {
        self.with(py, |state| state.engine.timeout(now));
    }

    fn next_timeout(&self, py: Python<'_>) -> Option<f64> {
        self.with(py, |state| state.engine.next_timeout())
    }

    fn poll_output<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let output = self.with(py, |state| state.queue.poll());
        output.map(|output| make_output(py, &output)).transpose()
    }

    fn poll_upcall<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let upcall = self.with(py, |state| state.engine.poll_upcall());
        upcall.map(|upcall| make_upcall(py, &upcall)).transpose()
    }

    fn fdb<'py>(&self, py: Python<'py>, network: u64, now: f64) -> PyResult<Bound<'py, PyList>> {
        let entries = self.with(py, |state| state.engine.fdb(network, now));
        let list = PyList::empty(py);
        for entry in &entries {
            list.append(make_fdb_entry(py, network, entry)?)?;
        }
        Ok(list)
    }

    fn captured<'py>(&self, py: Python<'py>, network: u64) -> PyResult<Bound<'py, PyList>> {
        let frames = self.with(py, |state| state.engine.captured(network));
        make_captured(py, &frames)
    }

    fn activity<'py>(&self, py: Python<'py>, peer: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let activity = match peer.try_into() {
            Ok(peer) => self.with(py, |state| state.engine.activity(peer)),
            Err(_) => l2mesh_core::peers::Activity::default(),
        };
        make_activity(py, &activity)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let totals = self.with(py, |state| state.engine.counters().totals());
        let dict = PyDict::new(py);
        for (name, total) in totals {
            dict.set_item(name, total)?;
        }
        Ok(dict)
    }

    fn drops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let drops: Vec<_> = self.with(py, |state| state.engine.counters().drops().collect());
        let dict = PyDict::new(py);
        let reasons = classes(py)?.drop_reason.bind(py);
        for (reason, count) in drops {
            dict.set_item(reasons.call1((reason.name(),))?, count)?;
        }
        Ok(dict)
    }

    #[allow(clippy::unused_self, reason = "Python calls it so")]
    fn __repr__(&self) -> &'static str {
        "<native engine>"
    }
}

/// The header that a TAP would put before a frame of which this is said.
fn read_offload(from: &Bound<'_, PyAny>) -> PyResult<[u8; 10]> {
    let number = |name: &str| -> PyResult<u16> {
        let number: i64 = from.getattr(name)?.extract()?;
        // what does not fit is as wrong as the most that does
        Ok(u16::try_from(number).unwrap_or(u16::MAX))
    };
    let flag = |name: &str| from.getattr(name)?.extract::<bool>();
    let kind = number("gso_type")?.min(0x7f) as u8;
    let mut header = [0; 10];
    header[0] = u8::from(flag("needs_csum")?);
    header[1] = kind | if flag("ecn")? { 0x80 } else { 0 };
    header[4..6].copy_from_slice(&number("gso_size")?.to_ne_bytes());
    header[6..8].copy_from_slice(&number("csum_start")?.to_ne_bytes());
    header[8..10].copy_from_slice(&number("csum_offset")?.to_ne_bytes());
    Ok(header)
}

fn read_bounds(from: &Bound<'_, PyAny>) -> PyResult<Bounds> {
    let number = |name: &str| from.getattr(name)?.extract::<u64>();
    let size = |name: &str| from.getattr(name)?.extract::<usize>();
    let seconds = |name: &str| from.getattr(name)?.extract::<f64>();
    let rate = |name: &str| from.getattr(name)?.extract::<u32>();
    Ok(Bounds {
        rekey_counter: number("rekey_counter")?,
        refuse_counter: number("refuse_counter")?,
        held_frames: size("held_frames")?,
        held_bytes: size("held_bytes")?,
        held_s: seconds("held_s")?,
        need_session_interval_s: seconds("need_session_interval_s")?,
        source_seen_interval_s: seconds("source_seen_interval_s")?,
        sources_remembered: size("sources_remembered")?,
        fragment_frames: size("fragment_frames")?,
        fragment_bytes: size("fragment_bytes")?,
        fragment_s: seconds("fragment_s")?,
        pieces: size("pieces")?,
        fdb_per_peer: size("fdb_per_peer")?,
        fdb_own: size("fdb_own")?,
        fdb_per_network: size("fdb_per_network")?,
        control_upcalls: size("control_upcalls")?,
        event_upcalls: size("event_upcalls")?,
        handshake_upcalls: size("handshake_upcalls")?,
        guard_burst: rate("guard_burst")?,
        guard_prefixes: size("guard_prefixes")?,
        relay_rate: rate("relay_rate")?,
        relay_burst: rate("relay_burst")?,
        capture_frames: size("capture_frames")?,
        capture_bytes: size("capture_bytes")?,
        recent_frames: size("recent_frames")?,
        recent_bytes: size("recent_bytes")?,
        recent_s: seconds("recent_s")?,
        group_rate: rate("group_rate")?,
        group_burst: rate("group_burst")?,
        copy_rate: rate("copy_rate")?,
    })
}
