"""Sizes and times of every table of the engine (section 11). Tests make them smaller."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Defaults are the protocol's."""

    rekey_counter: int = 2**31
    """A send counter that reaches it raises KeySpent."""
    refuse_counter: int = 2**32 - 2**16
    """Neither sent nor accepted from here on."""
    held_frames: int = 32
    """Per peer."""
    held_bytes: int = 64 * 1024
    """Per peer."""
    held_s: float = 3.0
    need_session_interval_s: float = 1.0
    """Between two NeedSession for one (peer, network)."""
    source_seen_interval_s: float = 1.0
    """Between two SourceSeen for one (peer, path)."""
    sources_remembered: int = 16
    """Paths per peer whose SourceSeen is that recent; further ones are not reported."""
    fragment_frames: int = 16
    """Unfinished frames per peer."""
    fragment_bytes: int = 256 * 1024
    """Bytes of unfinished frames per peer."""
    fragment_s: float = 1.0
    pieces: int = 64
    """Of one frame; sent and accepted."""
    fdb_per_peer: int = 1024
    fdb_own: int = 4096
    fdb_per_network: int = 8192
    control_upcalls: int = 1024
    event_upcalls: int = 1024
    handshake_upcalls: int = 256
    guard_burst: int = 5
    """INITs at once from one source prefix while under load."""
    guard_prefixes: int = 4096
    """Source prefixes remembered while under load; INITs of further ones are refused."""
    relay_rate: int = 500_000
    """Datagrams a second that a planet forwards for one client."""
    relay_burst: int = 250_000
    capture_frames: int = 4096
    """That wait for the reader of a capture."""
    capture_bytes: int = 4 * 1024 * 1024
    """Of those frames."""
    recent_frames: int = 256
    """Own broadcasts that are kept for replicators to come (section 4.1)."""
    recent_bytes: int = 256 * 1024
    """Of those."""
    recent_s: float = 4.0
    group_rate: int = 1000
    """Signatures a second of broadcasts brought by one member that are looked at."""
    group_burst: int = 2000
    copy_rate: int = 100_000
    """Copies a second that are made for one source, and at once."""
