"""What the engine counts: totals as plain attributes, drops by reason."""

from dataclasses import dataclass, field, fields

from l2mesh.datapath.interface import DropReason


@dataclass(slots=True)
class Counters:
    """Totals since the engine was made. Bytes are those of UDP payloads, or of whole frames."""

    frames_in: int = 0
    """Read from ports."""
    frame_bytes_in: int = 0
    frames_out: int = 0
    """Written to ports."""
    frame_bytes_out: int = 0
    superframes_in: int = 0
    """Frames from ports that were to be cut; each is also one of `frames_in`."""
    superframes_out: int = 0
    """Frames to ports that were merged of several; each is also one of `frames_out`."""
    datagrams_in: int = 0
    datagram_bytes_in: int = 0
    datagrams_out: int = 0
    datagram_bytes_out: int = 0
    copies_out: int = 0
    """Datagrams that left by a second path as well; each is also one of `datagrams_out`."""
    frames_flooded: int = 0
    """Frames from ports that went to every member, or to every bridge."""
    frames_signed: int = 0
    """Frames from ports that left for replicators to carry on; each is one of `frames_flooded`."""
    frames_replicated: int = 0
    """Copies of others' broadcasts that were made for them."""
    frames_fragmented: int = 0
    frames_reassembled: int = 0
    frames_held: int = 0
    relayed_packets: int = 0
    """Forwarded for clients; also counted as datagrams."""
    relayed_bytes: int = 0
    handshakes_in: int = 0
    """Let up by the guard."""
    cookies_out: int = 0
    drops: dict[DropReason, int] = field(default_factory=dict)

    def drop(self, reason: DropReason, count: int = 1) -> None:
        """Note that `count` frames or datagrams were dropped."""
        self.drops[reason] = self.drops.get(reason, 0) + count

    def totals(self) -> dict[str, int]:
        """Everything but the drops, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "drops"}
