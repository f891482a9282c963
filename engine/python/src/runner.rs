//! The class `Runner`: an engine on its own threads, with descriptors that Python opened.

use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

use l2mesh_core::peers::Activity;
use l2mesh_io::tap::TapOffloads;
use l2mesh_io::{Options, PortFds, Report};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::command::read_command;
use crate::engine::Engine;
use crate::output::{make_activity, make_captured, make_fdb_entry, make_upcall};
use crate::types::classes;

/// See `_native.pyi`.
#[pyclass(frozen, module = "l2mesh.datapath._native")]
pub(crate) struct Runner {
    runner: Mutex<l2mesh_io::Runner>,
}

impl Runner {
    /// Does something with the runner, without the GIL: it is never held while waiting.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut l2mesh_io::Runner) -> T + Send,
    ) -> T {
        py.detach(|| work(&mut self.runner.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Asks the engine; `RuntimeError` when the worker is no more.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&mut l2mesh_core::Engine) -> T + Send + 'static,
    ) -> PyResult<T> {
        let answer = self.with(py, |runner| runner.ask(|engine, _| question(engine)));
        answer.ok_or_else(|| PyRuntimeError::new_err("the worker has ended"))
    }
}

#[pymethods]
impl Runner {
    #[new]
    #[pyo3(signature = (engine, groups, *, tap_tso, tap_uso, udp_gso, udp_gro, nice, busy_poll_us))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "switches")]
    #[allow(clippy::similar_names, reason = "the names of the offloads")]
    #[allow(clippy::needless_pass_by_value, reason = "made from a list")]
    fn new(
        py: Python<'_>,
        engine: &Engine,
        groups: Vec<Vec<RawFd>>,
        tap_tso: bool,
        tap_uso: bool,
        udp_gso: bool,
        udp_gro: bool,
        nice: i32,
        busy_poll_us: u32,
    ) -> PyResult<Self> {
        let engine = engine.take(py);
        let options = Options { tap_tso, tap_uso, udp_gso, udp_gro, nice, busy_poll_us };
        let runner = py.detach(|| l2mesh_io::Runner::start(engine, &groups, options))?;
        Ok(Self { runner: Mutex::new(runner) })
    }

    fn execute(&self, py: Python<'_>, command: &Bound<'_, PyAny>) -> PyResult<()> {
        let command = read_command(command)?;
        self.with(py, |runner| runner.execute(command));
        Ok(())
    }

    #[allow(clippy::needless_pass_by_value, reason = "made from a list")]
    fn attach_port(
        &self,
        py: Python<'_>,
        network: u64,
        queues: Vec<RawFd>,
        write: RawFd,
        offloads: Option<(bool, bool, bool)>,
    ) -> PyResult<()> {
        let offloads = offloads.map(|(checksum, tso, uso)| TapOffloads { checksum, tso, uso });
        let fds = PortFds { queues: &queues, write };
        Ok(self.with(py, |runner| runner.attach_port(network, fds, offloads))?)
    }

    fn detach_port(&self, py: Python<'_>, network: u64) {
        self.with(py, |runner| runner.detach_port(network));
    }

    #[allow(clippy::needless_pass_by_value, reason = "made from a list")]
    fn set_uplinks(&self, py: Python<'_>, uplinks: Vec<u32>) {
        self.with(py, |runner| runner.set_uplinks(&uplinks));
    }

    fn report_fd(&self, py: Python<'_>) -> RawFd {
        self.with(py, |runner| runner.report_fd())
    }

    /// An upcall, or a tuple: ("lost", network, errno), ("panicked", why), ("stopped", why).
    fn poll_report<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(report) = self.with(py, |runner| runner.poll_report()) else { return Ok(None) };
        let made = match report {
            Report::Upcall(upcall) => make_upcall(py, &upcall)?,
            Report::PortLost { network, code } => {
                ("lost", network, code).into_pyobject(py)?.into_any()
            }
            Report::Panicked(why) => {
                ("panicked", PyString::new(py, &why)).into_pyobject(py)?.into_any()
            }
            Report::Stopped(why) => {
                ("stopped", PyString::new(py, &why)).into_pyobject(py)?.into_any()
            }
        };
        Ok(Some(made))
    }

    fn fdb<'py>(&self, py: Python<'py>, network: u64, now: f64) -> PyResult<Bound<'py, PyList>> {
        let entries = self.ask(py, move |engine| engine.fdb(network, now))?;
        let list = PyList::empty(py);
        for entry in &entries {
            list.append(make_fdb_entry(py, network, entry)?)?;
        }
        Ok(list)
    }

    fn captured<'py>(&self, py: Python<'py>, network: u64) -> PyResult<Bound<'py, PyList>> {
        let frames = self.ask(py, move |engine| engine.captured(network))?;
        make_captured(py, &frames)
    }

    fn activity<'py>(&self, py: Python<'py>, peer: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let activity = match <[u8; 32]>::try_from(peer) {
            Ok(peer) => self.ask(py, move |engine| engine.activity(&peer))?,
            Err(_) => Activity::default(),
        };
        make_activity(py, &activity)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let totals = self.ask(py, |engine| engine.counters().totals())?;
        let dict = PyDict::new(py);
        for (name, total) in totals {
            dict.set_item(name, total)?;
        }
        Ok(dict)
    }

    fn io_counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, total) in self.with(py, |runner| runner.counters()) {
            dict.set_item(name, total)?;
        }
        Ok(dict)
    }

    fn drops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let drops: Vec<_> = self.ask(py, |engine| engine.counters().drops().collect())?;
        let dict = PyDict::new(py);
        let reasons = classes(py)?.drop_reason.bind(py);
        for (reason, count) in drops {
            dict.set_item(reasons.call1((reason.name(),))?, count)?;
        }
        Ok(dict)
    }

    fn stop(&self, py: Python<'_>) {
        self.with(py, |runner| drop(runner.stop()));
    }

    #[allow(clippy::unused_self, reason = "Python calls it on one")]
    fn __repr__(&self) -> &'static str {
        "<running native engine>"
    }
}
