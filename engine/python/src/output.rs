//! Outputs, upcalls and tables: into the named tuples of the interface.

use std::net::IpAddr;

use l2mesh_core::capture::{Captured, Side};
use l2mesh_core::collect::Output;
use l2mesh_core::peers::Activity;
use l2mesh_core::ports::FdbEntry;
use l2mesh_core::sink::{FrameMeta, Gso, GsoKind};
use l2mesh_core::upcall::Upcall;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::types::{classes, make_endpoint, make_path};

const GSO_NONE: u8 = 0;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;

/// An `Output`
pub(crate) fn make_output<'py>(py: Python<'py>, from: &Output) -> PyResult<Bound<'py, PyAny>> {
    let classes = classes(py)?;
    match from {
        Output::Transmit { datagram, endpoint } => {
            let fields = (PyBytes::new(py, datagram), make_endpoint(py, endpoint)?);
            classes.transmit.bind(py).call1(fields)
        }
        Output::Train { datagrams, stride, endpoint } => {
            let fields = (PyBytes::new(py, datagrams), *stride, make_endpoint(py, endpoint)?);
            classes.transmit_train.bind(py).call1(fields)
        }
        Output::Deliver { network, frame, meta } => {
            let fields = (*network, PyBytes::new(py, frame), make_offload(py, *meta)?);
            classes.deliver.bind(py).call1(fields)
        }
    }
}

fn make_offload(py: Python<'_>, meta: FrameMeta) -> PyResult<Option<Bound<'_, PyAny>>> {
    let (gso_type, gso_size, ecn) = match meta.gso {
        None => (GSO_NONE, 0, false),
        Some(Gso { kind: GsoKind::Tcp4, size, ecn }) => (GSO_TCP4, size, ecn),
        Some(Gso { kind: GsoKind::Tcp6, size, ecn }) => (GSO_TCP6, size, ecn),
        Some(Gso { kind: GsoKind::Udp, size, ecn }) => (GSO_UDP, size, ecn),
    };
    let Some(open) = meta.open_checksum else { return Ok(None) };
    let fields = (gso_type, gso_size, open.start, open.offset, true, ecn);
    classes(py)?.offload.bind(py).call1(fields).map(Some)
}

/// An `Upcall`
pub(crate) fn make_upcall<'py>(py: Python<'py>, from: &Upcall) -> PyResult<Bound<'py, PyAny>> {
    let classes = classes(py)?;
    match from {
        Upcall::HandshakeReceived { datagram, path } => {
            let fields = (PyBytes::new(py, datagram), make_path(py, path)?);
            classes.handshake_received.bind(py).call1(fields)
        }
        Upcall::ControlReceived { peer, session, payload, path } => {
            let (peer, payload) = (PyBytes::new(py, peer), PyBytes::new(py, payload));
            let fields = (peer, *session, payload, make_path(py, path)?);
            classes.control_received.bind(py).call1(fields)
        }
        Upcall::SessionConfirmed { peer, session } => {
            classes.session_confirmed.bind(py).call1((PyBytes::new(py, peer), *session))
        }
        Upcall::NeedSession { peer, network } => {
            classes.need_session.bind(py).call1((PyBytes::new(py, peer), *network))
        }
        Upcall::SourceSeen { peer, session, path } => {
            let fields = (PyBytes::new(py, peer), *session, make_path(py, path)?);
            classes.source_seen.bind(py).call1(fields)
        }
        Upcall::MacLearned { network, vlan, mac, peer, moved } => {
            let peer = peer.as_ref().map(|peer| PyBytes::new(py, peer));
            let fields = (*network, *vlan, PyBytes::new(py, mac), peer, *moved);
            classes.mac_learned.bind(py).call1(fields)
        }
        Upcall::BeaconHeard { network, vlan, nonce } => {
            classes.beacon_heard.bind(py).call1((*network, *vlan, PyBytes::new(py, nonce)))
        }
        Upcall::GroupTalkHeard { network, vlan, peer, mac, packet } => {
            let peer = peer.as_ref().map(|peer| PyBytes::new(py, peer));
            let (mac, packet) = (PyBytes::new(py, mac), PyBytes::new(py, packet));
            classes.group_talk_heard.bind(py).call1((*network, *vlan, peer, mac, packet))
        }
        Upcall::Offence { network, peer, reason, vlan, mac, address, times } => {
            let peer = peer.as_ref().map(|peer| PyBytes::new(py, peer));
            let address = match address {
                None => PyBytes::new(py, &[]),
                Some(IpAddr::V4(address)) => PyBytes::new(py, &address.octets()),
                Some(IpAddr::V6(address)) => PyBytes::new(py, &address.octets()),
            };
            let reason = classes.drop_reason.bind(py).call1((reason.name(),))?;
            let mac = PyBytes::new(py, mac);
            classes.offence.bind(py).call1((*network, peer, reason, *vlan, mac, address, *times))
        }
        Upcall::NeedReplicators { network } => classes.need_replicators.bind(py).call1((*network,)),
        Upcall::AssignmentUnknown { peer, network } => {
            classes.assignment_unknown.bind(py).call1((PyBytes::new(py, peer), *network))
        }
        Upcall::SourceStale { peer, network } => {
            classes.source_stale.bind(py).call1((PyBytes::new(py, peer), *network))
        }
        Upcall::KeySpent { peer, session } => {
            classes.key_spent.bind(py).call1((PyBytes::new(py, peer), *session))
        }
    }
}

/// An `FdbEntry`
pub(crate) fn make_fdb_entry<'py>(
    py: Python<'py>,
    network: u64,
    from: &FdbEntry,
) -> PyResult<Bound<'py, PyAny>> {
    let peer = from.peer.as_ref().map(|peer| PyBytes::new(py, peer));
    let mac = PyBytes::new(py, &from.mac);
    let fields = (network, from.vlan, mac, peer, from.age, from.is_static, from.is_signed);
    classes(py)?.fdb_entry.bind(py).call1(fields)
}

/// A list of `Captured`
pub(crate) fn make_captured<'py>(
    py: Python<'py>,
    from: &[Captured],
) -> PyResult<Bound<'py, PyList>> {
    let classes = classes(py)?;
    let (kind, reasons) = (classes.captured.bind(py), classes.drop_reason.bind(py));
    let list = PyList::empty(py);
    for one in from {
        let side = match one.sight.side {
            Side::Port => "port",
            Side::Mesh => "mesh",
            Side::Drops => "drops",
        };
        let side = classes.capture_side.bind(py).call1((side,))?;
        let peer = one.sight.peer.as_ref().map(|peer| PyBytes::new(py, peer));
        let reason = one.sight.reason.map(|reason| reasons.call1((reason.name(),))).transpose()?;
        let frame = PyBytes::new(py, &one.frame);
        let inward = one.sight.is_inward;
        let fields = (one.at, side, inward, peer, reason, one.length, frame, one.lost);
        list.append(kind.call1(fields)?)?;
    }
    Ok(list)
}

/// An `Activity`
pub(crate) fn make_activity<'py>(py: Python<'py>, from: &Activity) -> PyResult<Bound<'py, PyAny>> {
    let times = (from.sent, from.received, from.frame);
    let fields =
        (times.0, times.1, times.2, from.tx_bytes, from.rx_bytes, from.tx_packets, from.rx_packets);
    classes(py)?.activity.bind(py).call1(fields)
}
