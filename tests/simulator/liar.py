"""A malicious build of the planet: what it says of others, and where it sees them, is what a test
wants. Everything else in it is the planet that people run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from l2mesh.datapath.interface import Endpoint, SendControl
from l2mesh.wire.control import (
    Chunk,
    ChunkFlag,
    ProbeReply,
    Record,
    decode_records,
    encode_records,
)
from l2mesh.wire.message import Message, decode_message, encode_message
from tests.simulator.node import NodeHost
from tests.simulator.planet import PlanetHost

__all__ = ["Lies", "make_liar"]

_WHOLE = int(ChunkFlag.FIRST | ChunkFlag.LAST)


class Lies:
    """What a planet's outputs are turned into, and what it says unasked."""

    def __init__(self, planet: PlanetHost) -> None:
        self.planet = planet
        self.observed: Endpoint | None = None
        """As which endpoint it shows everybody to themselves; None: the true one."""
        self.message: Callable[[Message], Message] = lambda message: message
        """What becomes of each message of up to 1,024 bytes."""
        self.said: list[Message] = []
        """Messages that left, before they were turned."""

    def turn(self, output: Any) -> Any:
        """One output of the core."""
        if not isinstance(output, SendControl):
            return output
        records = [self._turn_record(record) for record in decode_records(output.payload)]
        return replace(output, payload=encode_records(records))

    def say(self, node: NodeHost, message: Message) -> None:
        """Tell a node something, on its session with the planet."""

        def send(core: Any, now: float) -> None:
            core.core.send(core.core.peers[node.fingerprint], message, now)

        self.planet.call(send)

    def _turn_record(self, record: Record) -> Record:
        match record:
            case ProbeReply(nonce, _) if self.observed is not None:
                return ProbeReply(nonce, self.observed)
            case Chunk(number, flags, data) if flags == _WHOLE:
                message = decode_message(data)
                self.said.append(message)
                return Chunk(number, flags, encode_message(self.message(message)))
            case _:
                return record


def make_liar(planet: PlanetHost) -> Lies:
    """Turn a planet that has not started yet into a malicious one."""
    lies = Lies(planet)
    honest = planet.boot
    assert honest is not None and planet.machine is None

    def boot(files: dict[str, bytes], now: float) -> Any:
        engine, core = honest(files, now)
        poll = core.poll_output
        core.poll_output = lambda: lies.turn(poll())  # type: ignore[method-assign]
        return engine, core

    planet.boot = boot
    return lies
