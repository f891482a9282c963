"""A life of two nodes: any number of steps, drawn one by one."""

from __future__ import annotations

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import (
    FlushPeer,
    Limits,
    OpenPort,
    Path,
    RemoveMember,
    RemoveSend,
    RemoveSource,
    SetAssignment,
    SetBlocked,
    SetLimits,
    SetMember,
    SetPath,
    SetPortOffloads,
    SetReplication,
    SetSource,
    StopReplication,
)
from l2mesh.datapath.reference import Bounds
from l2mesh.switch.beacon import emit_beacon
from l2mesh.wire.group import GROUP_HEAD_BYTES, Group, encode_group, signed_text
from tests.engine.lives.arrivals import Arrivals
from tests.engine.lives.cast import (
    BROADCAST,
    ENDPOINTS,
    GENERATIONS,
    GROUPS,
    MACS,
    NETWORKS,
    NUMBERS,
    OFFLOADS,
    PEERS,
    SESSIONS,
    SIGNERS,
    STATIONS,
)
from tests.engine.lives.orders import Dice


class Life(Arrivals):
    """What happens to two nodes."""

    def __init__(self, seed: int, bounds: Bounds) -> None:
        super().__init__(seed, bounds)
        self.steps = [
            *[self.execute] * 3,
            *[self.send] * 3,
            *[self.send_across] * 3,
            *[self.exchange] * 8,
            self.hold,
            self.flood,
            self.block,
            self.talk,
            self.contradict,
            self.flap,
            self.run,
            self.part,
            self.replicate,
            self.carry_on,
            *[self.claim] * 2,
            *[self.receive_in_order] * 5,
            *[self.receive_batch] * 4,
            *[self.receive_any] * 2,
            self.receive_damaged,
            self.receive_noise,
            *[self.receive_odd] * 10,
            *[self.knock] * 4,
            self.rekey,
            self.wait,
            self.time_out,
            *[self.listen] * 2,
        ]

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.dice.choice(self.steps)(self.dice.randrange(2))
            for me, pair in enumerate(self.pairs):
                self.compare(me, pair)
        for pair in self.pairs:
            self.drain(pair, 10_000)

    def rekey(self, me: int) -> None:
        self.install(me, self.dice.of(0, 1, *NETWORKS), self.dice.choice(SESSIONS))

    def execute(self, me: int) -> None:
        command = self.dice.command()
        self.do(me, command)
        if not self.dice.one_in(4):
            self.mend(me)
            self.mend(1 - me)

    def mend(self, me: int) -> None:
        """Make good what ends all traffic."""
        dice, other = self.dice, 1 - me
        path, size = Path(ENDPOINTS[other]), dice.of(1472, 1472, 900, 300)
        self.do(me, SetPath(PEERS[other], path, size, dice.spread()))
        rights = (not dice.one_in(3), *dice.rights()[1:])
        self.do(me, OpenPort(1, MACS[me], 1500, *rights, dice.signed(MACS[me])))
        rights = (not dice.one_in(3), *dice.rights()[1:])
        self.do(me, SetMember(1, PEERS[other], MACS[other], *rights, dice.signed(MACS[other])))
        if dice.one_in(3):
            self.do(me, SetPortOffloads(1, dice.choice(OFFLOADS)))
        if dice.one_in(6):
            self.install(me, 1, 5)

    def send(self, me: int) -> None:
        dice = self.dice
        target = dice.of(*MACS, *STATIONS, *GROUPS, BROADCAST, BROADCAST)
        source = dice.of(MACS[me], MACS[me], *STATIONS, *MACS, bytes(6), GROUPS[2])
        frame, offload = dice.frame(target, source)
        network = dice.of(1, 1, 1, 1, 2, 3)
        if dice.one_in(12):
            frame, offload = emit_beacon(source, dice.of(0, 0, 7), dice.randbytes(16)), None
            frame = frame[: dice.of(60, 60, 40, 38, 37, 20)]
        self.pairs[me]("handle_frame", network, frame, self.now, offload)

    def send_across(self, me: int) -> None:
        frame, offload = self.dice.frame(MACS[1 - me], MACS[me])
        self.pairs[me]("handle_frame", 1, frame, self.now, offload)

    def exchange(self, me: int) -> None:
        """Frames from the other, which arrive at once and in one piece."""
        other = 1 - me
        dice, flow = self.dice, self.dice.randrange(2**32)
        for _ in range(dice.randrange(1, 5)):
            frame, offload = Dice(flow + dice.randrange(2)).frame(MACS[me], MACS[other])
            self.pairs[other]("handle_frame", 1, frame, self.now, offload)
        self.compare(other, self.pairs[other])
        self.receive_batch(me)

    def hold(self, me: int) -> None:
        """Frames for somebody who cannot be reached, until he can."""
        other = 1 - me
        no_path, no_key = SetPath(PEERS[other], None), RemoveSend(PEERS[other], 1)
        self.do(me, no_path if self.dice.one_in(2) else no_key)
        for _ in range(self.dice.randrange(8)):
            self.send_across(me)
        if self.dice.one_in(2):
            self.now += self.dice.of(0.5, 2.0, 3.0)
        self.install(me, 1, 5)
        self.mend(me)

    def flood(self, me: int) -> None:
        """Many stations behind a bridge, and frames for all."""
        dice, other = self.dice, 1 - me
        for node in (me, other):
            rate = dice.of(500, 500, 3, 0)
            self.do(node, SetLimits(1, Limits(rate, rate, rate, guard="off")))
        for station in STATIONS:
            frame, offload = dice.frame(dice.of(BROADCAST, MACS[other], *GROUPS[::2]), station)
            self.pairs[me]("handle_frame", 1, frame, self.now, offload)
        self.compare(me, self.pairs[me])
        self.receive_in_order(other)

    def block(self, me: int) -> None:
        """Another bridge forwards for the LAN of one, for a while."""
        self.do(me, SetBlocked(1, frozenset(self.dice.sample((0, 7, 9), 2))))
        for _ in range(3):
            self.send(me)
            self.send_across(me)
        self.exchange(me)
        self.flood(1 - me)
        self.do(me, SetBlocked(1, frozenset()))

    def talk(self, me: int) -> None:
        """What each wants of groups, and frames to groups, here and there."""
        dice, other = self.dice, 1 - me
        for node in (me, other):
            floods = dice.one_in(2)
            self.do(node, SetLimits(1, Limits(guard="off", floods_groups=floods)))
            self.do(node, dice.set_groups(1, PEERS[1 - node]))
        for _ in range(dice.of(3, 3, 3, 600) if dice.one_in(9) else 5):
            source = dice.of(MACS[me], *STATIONS)
            self.pairs[me]("handle_frame", 1, dice.group_frame(source), self.now)
            frame = dice.group_frame(dice.of(MACS[other], *STATIONS))
            self.pairs[other]("handle_frame", 1, frame, self.now)
        self.compare(other, self.pairs[other])
        self.receive_in_order(me)

    def contradict(self, me: int) -> None:
        """Stations that claim one address in turns."""
        dice, address = self.dice, bytes([10, 0, 9, self.dice.randrange(3)])
        self.do(me, SetLimits(1, Limits(guard="off")))
        for station in dice.choices(STATIONS[:2], k=5):
            arp = b"\x08\x06\0\1\x08\0\6\4\0\1" + station + address + bytes(6) + address
            self.pairs[me]("handle_frame", 1, BROADCAST + station + arp, self.now)
            self.now += dice.of(0.0, 1.0, 40.0)

    def flap(self, me: int) -> None:
        """A station that is now here and now there."""
        other, station = 1 - me, self.dice.choice(STATIONS)
        for node in (me, other):
            self.do(node, SetLimits(1, Limits(guard="off")))
        frame = MACS[other] + station + b"\x88\xb5"
        for _ in range(self.dice.randrange(9)):
            self.pairs[me]("handle_frame", 1, frame, self.now)
            self.pairs[other]("handle_frame", 1, MACS[me] + frame[6:], self.now)
            self.compare(other, self.pairs[other])
            self.receive_in_order(me)
            self.now += self.dice.of(0.01, 1.0)

    def run(self, me: int) -> None:
        """Frames of one time, there and back, most of them between the same two stations."""
        dice, ends = self.dice, (me, 1 - me)
        for node in ends:
            limits = Limits(guard=dice.of("default", "off", "off"))
            self.do(node, SetLimits(1, limits))
        stations = [dice.of((MACS[node],), STATIONS[node::2][:3]) for node in (0, 1)]
        for here in (*ends, *ends):
            there = 1 - here
            for _ in range(dice.randrange(2, 9)):
                target = stations[there][-1] if dice.one_in(4) else stations[there][0]
                source = stations[here][-1] if dice.one_in(4) else stations[here][0]
                frame, offload = dice.frame(target, source)
                self.pairs[here]("handle_frame", 1, frame, self.now, offload)
                if dice.one_in(8):
                    self.do(here, FlushPeer(1, dice.of(None, PEERS[there])))
            self.compare(here, self.pairs[here])
            self.receive_in_order(there)
            self.compare(there, self.pairs[there])

    def part(self, me: int) -> None:
        """The other is no member any more, but does not know it."""
        other = 1 - me
        self.do(me, RemoveMember(1, PEERS[other]))
        self.send_across(other)
        self.compare(other, self.pairs[other])
        self.receive_in_order(me)
        self.mend(me)

    def some_peers(self) -> tuple[bytes, ...]:
        return tuple(self.dice.sample(PEERS, self.dice.randrange(len(PEERS))))

    def believe(self, me: int) -> None:
        """Others are members whose signatures are believed, or some of them."""
        dice = self.dice
        for at, peer in enumerate(PEERS):
            if at == me or dice.one_in(4):
                continue
            self.do(me, SetMember(1, peer, MACS[at], *dice.rights(), dice.signed(MACS[at])))
            signing = SIGNERS[at if not dice.one_in(9) else 0][1]
            told = dice.of(0, 0, 0, *GENERATIONS)
            self.do(me, SetSource(1, peer, signing, not dice.one_in(3), told))
        if dice.one_in(4):
            self.do(me, RemoveSource(1, dice.choice(PEERS)))
        assignment = SetAssignment(1, dice.choice(PEERS), dice.choice(NUMBERS), self.some_peers())
        self.do(me, assignment)

    def replicate(self, me: int) -> None:
        """Broadcasts that leave signed, and reach the other once."""
        dice, other, secret = self.dice, 1 - me, SIGNERS[me][0]
        self.believe(me)
        self.believe(other)
        generation = dice.choice(GENERATIONS)
        for _ in range(dice.randrange(1, 4)):
            targets = tuple((peer, dice.of(0, *NUMBERS)) for peer in self.some_peers())
            chosen = dice.of(None, targets, ((PEERS[other], dice.of(0, *NUMBERS)), *targets))
            self.do(me, SetReplication(1, PEERS[me], secret, generation, chosen))
            for _ in range(dice.randrange(6)):
                target = dice.of(BROADCAST, BROADCAST, *GROUPS, MACS[other], STATIONS[0])
                frame, offload = dice.frame(target, dice.of(MACS[me], MACS[me], STATIONS[1]))
                self.pairs[me]("handle_frame", 1, frame, self.now, offload)
            self.now += dice.of(0.0, 0.0, 0.5, 4.0)
        self.compare(me, self.pairs[me])
        self.receive_in_order(other)
        if not dice.one_in(3):
            self.do(me, StopReplication(1))

    def carry_on(self, me: int) -> None:
        """Broadcasts of anybody, true and false, that the other brings."""
        dice = self.dice
        if not dice.one_in(3):
            self.believe(me)
        for _ in range(dice.randrange(1, 9)):
            at = dice.randrange(len(PEERS))
            frame, _ = dice.frame(dice.of(BROADCAST, *GROUPS, MACS[me]), MACS[at])
            generation, counter = dice.choice(GENERATIONS), dice.of(*range(9), 9000, 2**32 - 2**16)
            signed = signed_text(1, generation, counter + dice.one_in(9), frame)
            signature = SodiumCrypto().sign(SIGNERS[at][0], signed)
            number = dice.of(0, 0, *NUMBERS)
            text = encode_group(Group(number, PEERS[at], generation, counter, signature, frame))
            if dice.one_in(9):
                text = text[: dice.randrange(GROUP_HEAD_BYTES + 20)]
            self.receive_sealed(me, 0x20, text)

    def claim(self, me: int) -> None:
        """Frames that guards look into, from here and, past the guard there, from the other."""
        dice, other = self.dice, 1 - me
        guard = dice.of("default", "default", "strict", "off")
        self.do(me, SetLimits(1, Limits(None, None, None, "block", guard, None, None, None)))
        self.do(other, SetLimits(1, Limits(None, None, None, "block", "off", None, None, None)))
        for _ in range(dice.randrange(1, 7)):
            source = dice.of(MACS[me], MACS[me], dice.choice(STATIONS))
            frame = dice.judged(dice.of(MACS[other], BROADCAST), source)
            self.pairs[me]("handle_frame", 1, frame, self.now)
            source = dice.of(MACS[other], MACS[other], dice.choice(STATIONS))
            frame = dice.judged(dice.of(MACS[me], BROADCAST), source)
            self.pairs[other]("handle_frame", 1, frame, self.now)
        self.compare(other, self.pairs[other])
        self.receive_in_order(me)

    def wait(self, me: int) -> None:
        self.now += self.dice.of(0.01, 0.01, 0.3, 0.5, 1.0, 1.5, 3.0, 120.0, 299.0, 300.0)

    def time_out(self, me: int) -> None:
        due = self.pairs[me]("next_timeout")
        if due is not None and self.dice.one_in(2):
            self.now = max(self.now, due)
        self.pairs[me]("handle_timeout", self.now)

    def listen(self, me: int) -> None:
        self.drain(self.pairs[me], self.dice.randrange(1, 50))
