"""Draws commands of every kind."""

from __future__ import annotations

from l2mesh.datapath.interface import (
    AddRelayLeg,
    AnnounceStations,
    CaptureSide,
    ClosePort,
    Command,
    Endpoint,
    FlushPeer,
    Limits,
    OpenPort,
    RemoveMember,
    RemoveReceive,
    RemoveRelay,
    RemoveRelayLeg,
    RemoveSend,
    RemoveSession,
    SendControl,
    SendDatagram,
    SendTwice,
    SetBlocked,
    SetGroups,
    SetGuard,
    SetLimits,
    SetMember,
    SetPath,
    SetPortOffloads,
    SetRelay,
    SetStaticEntries,
    SetUnderlay,
    StartCapture,
    StopCapture,
    WriteFrame,
)
from l2mesh.switch.beacon import emit_beacon
from tests.engine.lives.cast import (
    ADDRESSES,
    ENDPOINTS,
    GROUPS,
    IP_GROUPS,
    MACS,
    NAMES,
    NETWORKS,
    OFFLOADS,
    OWN,
    PEERS,
    PUBLIC,
    RELAYS,
    SEED,
    SESSIONS,
    STATIONS,
    index_of,
)
from tests.engine.lives.frames import Frames


class Dice(Frames):
    """Draws what happens."""

    def set_groups(self, network: int, peer: bytes) -> Command:
        """Something that a port wants."""
        segments = [(vlan, version) for vlan in (0, 7) for version in (4, 6)]
        listed = frozenset(self.sample(segments, self.randrange(5)))
        reports = frozenset(one for one in listed if self.one_in(2))
        groups = frozenset((self.of(0, 7), self.choice(IP_GROUPS)) for _ in range(self.of(0, 1, 4)))
        return SetGroups(network, self.of(None, peer, peer), listed, reports, groups)

    def rights(self) -> tuple[bool, bool, bool, bool]:
        """To bridge, to route, to serve DHCP, to advertise."""
        return self.one_in(2), self.one_in(3), self.one_in(3), self.one_in(3)

    def signed(self, mac: bytes) -> tuple[bytes, ...]:
        """Addresses that go with a MAC, and at times another."""
        at = MACS.index(mac) if mac in MACS else 0
        more = (self.choice(ADDRESSES),) if self.one_in(8) else ()
        return (*(ADDRESSES[at : at + 1] + ADDRESSES[5 + at : 6 + at]), *more)

    def open_port(self, network: int, mac: bytes) -> Command:
        """Often with a MAC of the two nodes."""
        mtu = self.of(100, 1500, 1500, 9000)
        own = self.of(MACS[0], MACS[1], mac)
        return OpenPort(network, own, mtu, *self.rights(), self.signed(own))

    def set_member(self, network: int, peer: bytes, mac: bytes) -> Command:
        """Often with the MAC that goes with the peer."""
        theirs = self.of(MACS[PEERS.index(peer)], mac)
        return SetMember(network, peer, theirs, *self.rights(), self.signed(theirs))

    def set_underlay(self) -> Command:
        """Addresses of the host, or none."""
        ours = frozenset({OWN.host, "2001:db8::9"}), frozenset({"::1"}), frozenset[str]()
        return SetUnderlay(OWN.port, self.of(*ours))

    def start_capture(self, network: int) -> Command:
        """Of some sides, whole or cut."""
        sides = frozenset(side for side in CaptureSide if not self.one_in(4))
        return StartCapture(network, sides, self.of(65535, 65535, 20, 0))

    def set_limits(self, network: int) -> Command:
        """Any of them, or none."""
        one, two, three = (self.of(None, None, 0, 1, 3, 40) for _ in range(3))
        guard = self.of("default", "off", "off", "strict")
        arp, nd, discovery = (self.of(None, None, 0, 2) for _ in range(3))
        floods = self.one_in(2)
        bpdu = self.of("block", "pass", "tunnel")
        limits = Limits(one, two, three, bpdu, guard, arp, nd, discovery, floods)
        return SetLimits(network, limits)

    def set_path(self, peer: bytes) -> Command:
        """A path or none, with sizes that make no sense among those that do."""
        path = None if self.one_in(4) else self.path()
        return SetPath(peer, path, self.of(1472, 1472, 1452, 300, 60, 20, -5), self.spread())

    def send_twice(self, peer: bytes) -> Command:
        """By a second path, for a while and some bytes."""
        size = self.of(1472, 1444, 900, 60, -5)
        budget = self.of(1 << 20, 3000, 0, -1)
        path = None if self.one_in(6) else self.path()
        return SendTwice(peer, path, size, self.of(1.0, 0.2, 30.0), budget)

    def spread(self) -> tuple[Endpoint, ...]:
        """Often none, at times more than count."""
        count = self.of(0, 0, 2, 3, 5, 12, 18)
        return tuple(self.choice(ENDPOINTS) for _ in range(count))

    def set_static_entries(self, network: int) -> Command:
        """Some stations, one of them named twice."""
        stations = self.sample([*STATIONS, MACS[5], GROUPS[3], bytes(6)], self.randrange(6))
        entries = [(self.of(0, 0, 7), mac, self.of(None, *PEERS[:3])) for mac in stations]
        return SetStaticEntries(network, tuple(entries + entries[:1]))

    def command(self) -> Command:
        network, peer, mac = self.choice(NETWORKS), self.choice(PEERS), self.choice(MACS)
        session, relay = self.choice(SESSIONS), self.choice(RELAYS)
        match self.randrange(33):
            case 0:
                return self.open_port(network, mac)
            case 1:
                return ClosePort(network) if self.one_in(4) else AddRelayLeg(relay, ENDPOINTS[2])
            case 2 | 3:
                return SetPortOffloads(network, self.choice(OFFLOADS))
            case 4 | 5 | 6:
                return self.set_member(network, peer, mac)
            case 7:
                return RemoveMember(network, peer)
            case 8:
                return FlushPeer(network, self.of(None, peer))
            case 9:
                return self.set_limits(network)
            case 10 | 11 | 12:
                return self.set_path(peer)
            case 31:
                return self.send_twice(peer)
            case 13:
                return RemoveSend(peer, network)
            case 14:
                return RemoveSession(peer, session)
            case 24:
                return self.start_capture(network)
            case 25:
                return StopCapture(network)
            case 15:
                return RemoveReceive(index_of(self.choice(NAMES), self.of(0, *NETWORKS), session))
            case 16:
                return AddRelayLeg(relay, self.choice(ENDPOINTS))
            case 17:
                return RemoveRelayLeg(relay)
            case 18 | 19:
                ends = self.choice(ENDPOINTS), self.choice(ENDPOINTS)
                return SetRelay(relay, *ends, self.choice(PEERS), peer)
            case 20:
                return RemoveRelay(relay)
            case 21:
                return self.set_underlay()
            case 22:
                return SetGuard(PUBLIC, SEED, self.of(0, 2, 20))
            case 26:
                return SetBlocked(network, frozenset(self.sample((0, 7, 9), self.randrange(3))))
            case 27:
                return WriteFrame(network, self.of(emit_beacon(mac, 7, bytes(16)), self.some(60)))
            case 32:
                return self.set_static_entries(network)
            case 29 | 30:
                return self.set_groups(network, peer)
            case 28:
                return AnnounceStations(network, self.of(0, 7), frozenset({peer}))
            case _:
                if self.one_in(2):
                    return SendDatagram(self.some(30), self.path())
                return SendControl(peer, session, self.some(30), self.path())
