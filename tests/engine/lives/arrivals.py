"""Datagrams that arrive: in order, again, damaged, forged and odd."""

from __future__ import annotations

from hashlib import blake2s

from l2mesh.crypto import SodiumCrypto
from l2mesh.datapath.interface import Path, Received
from l2mesh.session.macs import CookieSecret, mac1_key
from l2mesh.switch.beacon import emit_beacon
from l2mesh.wire.data import HEADER, PIECE_HEAD
from l2mesh.wire.relay import frame_relay
from tests.engine.lives.cast import (
    BROADCAST,
    ENDPOINTS,
    GROUPS,
    MACS,
    NAMES,
    PUBLIC,
    RELAYS,
    SEED,
    STATIONS,
)
from tests.engine.lives.nodes import Nodes


class Arrivals(Nodes):
    """What two nodes receive."""

    def newest(self, me: int) -> list[bytes]:
        """What the other made last."""
        made = [datagram for maker, datagram in self.made if maker != me]
        return made[-self.dice.randrange(1, 70) :]

    def receive_in_order(self, me: int) -> None:
        for datagram in self.newest(me):
            self.receive(me, datagram, ENDPOINTS[1 - me])

    def receive_batch(self, me: int) -> None:
        """As UDP_GRO merges them."""
        dice, batch = self.dice, list[Received]()
        relay = dice.choice(RELAYS) if dice.one_in(4) else 0
        source = dice.choice(ENDPOINTS) if relay else ENDPOINTS[1 - me]
        for datagram in self.newest(me):
            one = frame_relay(relay, datagram) if relay else datagram
            last = batch[-1] if batch else Received(b"", 0, source)
            stride = last.stride or len(last.datagrams)
            if (
                one
                and len(one) <= stride
                and not len(last.datagrams) % stride
                and not dice.one_in(40)
            ):
                batch[-1] = Received(last.datagrams + one, stride, source)
            else:
                batch.append(Received(one, 0, source))
        self.pairs[me]("handle_datagrams", batch, self.now)

    def receive_any(self, me: int) -> None:
        """Something that was made here or there, fresh or again."""
        _, datagram = self.dice.choice(self.made)
        if self.dice.one_in(3):
            datagram = frame_relay(self.dice.choice(RELAYS), datagram)
        self.receive(me, datagram, self.dice.choice(ENDPOINTS))

    def receive_damaged(self, me: int) -> None:
        datagram = bytearray(self.dice.choice(self.made)[1])
        if datagram:
            at = self.dice.randrange(len(datagram))
            if self.dice.one_in(4):
                del datagram[at:]
            else:
                datagram[at] ^= 1 << self.dice.randrange(8)
            self.receive(me, bytes(datagram), self.dice.choice(ENDPOINTS))

    def receive_noise(self, me: int) -> None:
        noise = self.dice.of(b"", b"", b"\x80", b"\4", b"\4" + bytes(6) + b"M") + self.dice.some(80)
        self.receive(me, noise, self.dice.choice(ENDPOINTS))

    def receive_odd(self, me: int) -> None:
        """Authentic, but what no engine would send."""
        dice, other = self.dice, 1 - me
        parts, (key, index, cipher) = dice.choice(list(self.keys.items()))
        flags = dice.of(0, 0, 0, 1, 2, 2, 2, 2, 2, 4, 8, 8, 0x0C, 0x10, 0x18, 0x1C, 3, 0x20, 0x40)
        flags = dice.of(flags, flags, flags, 0x22, 0x24) if flags in (2, 0x40) else flags
        counter = self.counters[parts] + dice.of(1, 1, 1, 1, 1, 70, 70, 0, -1, -40, -32767, -32768)
        if dice.one_in(60):
            counter += dice.of(32767, 32768, 400, 2**32 - 2**16)
        if not 0 <= counter < 2**32:
            return
        self.counters[parts] = max(counter if counter < 2**31 else 0, self.counters[parts])
        if flags & 2 and flags != 3:
            offset, size, total = dice.of(
                (0, 16, 40),
                (16, 24, 40),
                (0, 40, 40),
                (8, 8, 40),
                (30, 1, 31),
                (16, 16, 40),
                (32, 8, 40),
                (0, 0, 15),
                (0, 14, 14),
                (30, 24, 40),
            )
            text = PIECE_HEAD.pack(dice.randrange(6), offset, total) + bytes(size)
        elif flags & 0x10:
            text = dice.packet()[1]
        elif dice.one_in(20):
            text = emit_beacon(MACS[other], dice.of(0, 7), bytes(16))
        else:
            target = dice.of(MACS[me], MACS[me], BROADCAST, *MACS, *STATIONS, *GROUPS)
            source = dice.of(MACS[other], MACS[other], *STATIONS, *MACS)
            text, _ = dice.frame(target, source)
        header = HEADER.pack((0x80 | flags) << 24 | index, counter)
        sealed = SodiumCrypto().transport(cipher, key, key[:4]).seal(counter, header, text)
        self.receive(me, header + sealed, dice.of(ENDPOINTS[other], *ENDPOINTS))

    def receive_sealed(self, me: int, flags: int, text: bytes) -> None:
        """One datagram of network 1 as the other would seal it."""
        parts = (NAMES[1 - me], 1, 5)
        key, index, cipher = self.keys[parts]
        counter = self.counters[parts] = self.counters[parts] + 1
        header = HEADER.pack((0x80 | flags) << 24 | index, counter)
        sealed = SodiumCrypto().transport(cipher, key, key[:4]).seal(counter, header, text)
        self.receive(me, header + sealed, ENDPOINTS[1 - me])

    def knock(self, me: int) -> None:
        """Handshakes of strangers."""
        dice, source = self.dice, self.dice.choice(ENDPOINTS)
        kind, relay = dice.of(1, 1, 1, 1, 2, 3), dice.of(0, 0, *RELAYS)
        key = mac1_key(bytes(32) if dice.one_in(6) else PUBLIC)
        text = (bytes([kind, 1, 0, 0]) + b"hand").ljust({1: 352, 2: 189, 3: 64}[kind], b"n")
        if kind != 3:
            text += blake2s(text, key=key, digest_size=16).digest()
        if kind == 1:
            mac2 = bytes(16)
            if not dice.one_in(3):
                ago = dice.of(0.0, 0.0, 120.0, 240.0)
                held = CookieSecret(SEED).cookie(Path(source, relay), self.now - ago)
                mac2 = blake2s(text, key=held, digest_size=16).digest()
            text += mac2
        if relay:
            text = frame_relay(relay, text)
        for _ in range(dice.randrange(1, 6)):
            self.receive(me, text, source)
