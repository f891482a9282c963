//! The classes of `l2mesh.datapath.interface`, found once.

use std::net::IpAddr;

use l2mesh_core::{Endpoint, Path};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

macro_rules! classes {
    ($($name:ident: $class:literal,)*) => {
        /// Those that the engine makes.
        pub(crate) struct Classes { $(pub(crate) $name: Py<PyAny>,)* }

        impl Classes {
            fn find(py: Python<'_>) -> PyResult<Self> {
                let interface = py.import("l2mesh.datapath.interface")?;
                Ok(Self { $($name: interface.getattr($class)?.unbind(),)* })
            }
        }
    };
}

classes! {
    activity: "Activity",
    capture_side: "CaptureSide",
    captured: "Captured",
    assignment_unknown: "AssignmentUnknown",
    beacon_heard: "BeaconHeard",
    control_received: "ControlReceived",
    deliver: "Deliver",
    drop_reason: "DropReason",
    endpoint: "Endpoint",
    fdb_entry: "FdbEntry",
    group_talk_heard: "GroupTalkHeard",
    handshake_received: "HandshakeReceived",
    key_spent: "KeySpent",
    mac_learned: "MacLearned",
    need_replicators: "NeedReplicators",
    need_session: "NeedSession",
    offence: "Offence",
    offload: "Offload",
    path: "Path",
    session_confirmed: "SessionConfirmed",
    source_seen: "SourceSeen",
    source_stale: "SourceStale",
    transmit: "Transmit",
    transmit_train: "TransmitTrain",
}

/// The classes.
pub(crate) fn classes(py: Python<'_>) -> PyResult<&'static Classes> {
    static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
    CLASSES.get_or_try_init(py, || Classes::find(py))
}

/// `Endpoint(host, port, uplink)`
pub(crate) fn make_endpoint<'py>(py: Python<'py>, from: &Endpoint) -> PyResult<Bound<'py, PyAny>> {
    classes(py)?.endpoint.bind(py).call1((from.address.to_string(), from.port, from.uplink))
}

/// `Path(endpoint, relay)`
pub(crate) fn make_path<'py>(py: Python<'py>, from: &Path) -> PyResult<Bound<'py, PyAny>> {
    classes(py)?.path.bind(py).call1((make_endpoint(py, &from.endpoint)?, from.relay))
}

/// An endpoint, which is a text and two numbers.
pub(crate) fn read_endpoint(from: &Bound<'_, PyAny>) -> PyResult<Endpoint> {
    let (host, port, uplink): (String, u16, u32) = from.extract()?;
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(Endpoint { address, port, uplink }),
        Err(_) => Err(PyValueError::new_err(format!("{host:?} is no numeric address"))),
    }
}

/// A path, which is a pair of endpoint and relay id.
pub(crate) fn read_path(from: &Bound<'_, PyAny>) -> PyResult<Path> {
    let (endpoint, relay): (Bound<'_, PyAny>, u64) = from.extract()?;
    if relay >> 56 != 0 {
        return Err(PyValueError::new_err(format!("relay id {relay} is not below 2^56")));
    }
    Ok(Path { endpoint: read_endpoint(&endpoint)?, relay })
}
