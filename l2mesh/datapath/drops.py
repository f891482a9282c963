"""Why an engine drops: one word for each reason, the same in both engines."""

from __future__ import annotations

import enum

__all__ = [
    "DropReason",
]


class DropReason(enum.StrEnum):
    """Why a datagram or frame was dropped; the names are shown by ``l2mesh counters``."""

    MALFORMED = "malformed"  # too short, impossible length, bad flag set before authentication
    UNKNOWN_TYPE = "unknown_type"
    BAD_MAC1 = "bad_mac1"
    COOKIE_REQUIRED = "cookie_required"
    HANDSHAKE_RATE = "handshake_rate"
    UNKNOWN_INDEX = "unknown_index"
    REPLAY = "replay"
    FORGED = "forged"  # the tag did not verify
    BAD_FLAGS = "bad_flags"  # authentic, but a flag or combination that has no meaning
    BAD_FRAGMENT = "bad_fragment"
    FRAGMENT_LOST = "fragment_lost"  # unfinished after 1 s, or displaced
    BAD_OFFLOAD = "bad_offload"  # CSUM, ELIDED or kernel metadata that the frame cannot have
    BAD_GROUP = "bad_group"  # GROUP without a broadcast inside, or from who may not replicate it
    BAD_FRAME = "bad_frame"  # runt, giant or truncated tag stack
    UNKNOWN_RELAY = "unknown_relay"
    RELAY_RATE = "relay_rate"
    COUNTER_SPENT = "counter_spent"
    NO_PORT = "no_port"  # authentic frame for a network that is not open here
    NOT_A_MEMBER = "not_a_member"
    SOURCE_MAC = "source_mac"  # a MAC that the sender has no right to
    SOURCE_IP = "source_ip"  # an IP address that the sender has no right to
    STATIC_ENTRY = "static_entry"  # a MAC whose static entry names another place
    ARP_GUARD = "arp_guard"  # malformed, or tells of a MAC or an address of another
    ND_GUARD = "nd_guard"  # the same of neighbour discovery, or hides whether it is such
    RA_GUARD = "ra_guard"  # a router's word without the right `ra`
    DHCP_GUARD = "dhcp_guard"  # a DHCP server's word without the right `dhcp`
    UNKNOWN_UNICAST = "unknown_unicast"  # nobody to flood it to
    SAME_PORT = "same_port"  # destination is where it came from
    LINK_LOCAL_GROUP = "link_local_group"
    GROUP_UNWANTED = "group_unwanted"  # an IP group, or a report, that nobody there wants
    STORM = "storm"  # above the limit of its class
    CLASS_REFUSED = "class_refused"  # the network lets nothing of its class pass
    OWN_DATAGRAM = "own_datagram"
    LOOP_BLOCKED = "loop_blocked"  # another bridge forwards for this LAN
    HELD_TOO_LONG = "held_too_long"
    HELD_OVERFLOW = "held_overflow"
    FDB_FULL = "fdb_full"  # not learned; the frame itself went on
    DUPLICATE_ADDRESS = "duplicate_address"  # two stations claim it; the frame itself went on
    MAC_FLAPPING = "mac_flapping"  # not moved in the FDB; the frame itself went on
    UPCALL_OVERFLOW = "upcall_overflow"
