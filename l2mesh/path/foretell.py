"""Ports that a peer's NAT will choose, or has chosen, for us (section 8.4 of ``docs/protocol.md``).

Whoever is behind a NAT that makes a mapping for each destination cannot say where we reach him. But
what planets saw of that NAT tells something, and a CALL passes it on. Where only his end is such,
he opens one mapping towards us and keeps it, and we try the ports that it may have:

- *sequential*: those around the latest one seen. His mapping towards us was made when our
  candidates were first tried, a little before he looked where his NAT stands, or it is made anew,
  a little after; others behind that NAT have taken a few ports meanwhile;
- *random*: those of the block around the ones seen, as carriers give out blocks of ports to their
  customers (RFC 7422). Where all 64,512 ports are drawn from there is nothing to try: 128 probes
  would succeed once in 500 times.

Where both ends are sequential, each probe takes a port of the sender's own, too. The i-th probe of
one end leaves by its port ``a + da + i + 1`` and the j-th of the other by ``b + db + j + 1``, where
``a`` and ``b`` were seen last, and others have taken ``da`` and ``db`` ports since. The end that
leads sends to ``b + 2 i + 1``, the other one to ``a + j + 1``. These meet at ``i = da + db`` and
``j = 2 da + db``, whatever the numbers are, and though others take ports meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from l2mesh.crypto import Random
from l2mesh.datapath.interface import Endpoint
from l2mesh.path.mapping import Forecast, Mapping

__all__ = ["MAX_FORETOLD", "foretell"]

MAX_FORETOLD: Final = 128
"""Ports of a peer that are tried in one search."""
MAX_BLOCK: Final = 2048
"""Ports, at most, of a block from which a NAT draws, for a search in it to have any hope."""
_FIRST_PORT: Final = 1024
_LAST_PORT: Final = 65535
_KEEPS: Final = frozenset({Mapping.OPEN, Mapping.INDEPENDENT})


def foretell(
    ours: Forecast, theirs: Forecast, *, leads: bool, random: Random
) -> tuple[Endpoint, ...]:
    """Endpoints to probe once each, in this order; at most 128, all at one host.

    Empty where there is nothing to be won. ``leads`` is True at one end of a pair only.
    """
    if not theirs.seen or theirs.seen[0].host in {each.host for each in ours.seen}:
        return ()
    host, latest = theirs.seen[0].host, theirs.seen[0].port
    step = min(max(theirs.step, 1), MAX_FORETOLD)
    if theirs.mapping is Mapping.SEQUENTIAL and ours.mapping is Mapping.SEQUENTIAL:
        stride = 2 * step if leads else step
        return _at(host, (latest + step + stride * turn for turn in range(MAX_FORETOLD)))
    if ours.mapping not in _KEEPS:
        return ()
    if theirs.mapping is Mapping.SEQUENTIAL:
        near = _around(latest, step, MAX_FORETOLD // 4)
        return _at(host, chain(near, _around(latest, 1, MAX_FORETOLD)))
    if theirs.mapping is Mapping.RANDOM:
        seen = {each.port for each in theirs.seen if each.host == host}
        return _at(host, _drawn(_block(seen), random))
    return ()


def _at(host: str, ports: Iterable[int]) -> tuple[Endpoint, ...]:
    fit = dict.fromkeys(port for port in ports if _FIRST_PORT <= port <= _LAST_PORT)
    return tuple(Endpoint(host, port) for port in list(fit)[:MAX_FORETOLD])


def _around(port: int, step: int, turns: int) -> Iterator[int]:
    """The ports before and after this one, the nearest first."""
    for turn in range(1, turns + 1):
        yield port - step * turn
        yield port + step * turn


def _block(seen: set[int]) -> range:
    """The smallest aligned block, a power of two in size, that holds all of these ports."""
    if len(seen) < 2:  # noqa: PLR2004 - one port tells of no block
        return range(0)
    size = 1 << (min(seen) ^ max(seen)).bit_length()
    first = min(seen) // size * size
    return range(first, first + size) if size <= MAX_BLOCK else range(0)


def _drawn(block: range, random: Random) -> list[int]:
    """All ports of a block in an order that is another one each time."""
    drawn = random(2 * len(block))
    keys = [drawn[2 * turn : 2 * turn + 2] for turn in range(len(block))]
    return [port for _, port in sorted(zip(keys, block, strict=True))]
