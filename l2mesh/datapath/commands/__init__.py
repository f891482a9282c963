"""What the control plane has an engine do. A command about something unknown is ignored.

They stand by what they are about: ``keys`` and ``paths`` of peers, ``networks`` and their switch,
``replication`` of broadcasts. Sections named in docstrings are those of ``docs/protocol.md``.
"""

from typing import TypeAlias

from l2mesh.datapath.commands.keys import (
    InstallReceive,
    InstallSend,
    RemoveReceive,
    RemoveSend,
    RemoveSession,
    SetGuard,
)
from l2mesh.datapath.commands.networks import (
    AnnounceStations,
    CaptureSide,
    ClosePort,
    FlushPeer,
    Limits,
    OpenPort,
    RemoveMember,
    SetBlocked,
    SetGroups,
    SetLimits,
    SetMember,
    SetPortOffloads,
    SetStaticEntries,
    StartCapture,
    StopCapture,
    WriteFrame,
)
from l2mesh.datapath.commands.paths import (
    AddRelayLeg,
    RemoveRelay,
    RemoveRelayLeg,
    SendControl,
    SendDatagram,
    SendTwice,
    SetPath,
    SetRelay,
    SetUnderlay,
)
from l2mesh.datapath.commands.replication import (
    RemoveSource,
    SetAssignment,
    SetReplication,
    SetSource,
    StopReplication,
)

__all__ = [
    "AddRelayLeg",
    "AnnounceStations",
    "CaptureSide",
    "ClosePort",
    "Command",
    "FlushPeer",
    "InstallReceive",
    "InstallSend",
    "Limits",
    "OpenPort",
    "RemoveMember",
    "RemoveReceive",
    "RemoveRelay",
    "RemoveRelayLeg",
    "RemoveSend",
    "RemoveSession",
    "RemoveSource",
    "SendControl",
    "SendDatagram",
    "SendTwice",
    "SetAssignment",
    "SetBlocked",
    "SetGroups",
    "SetGuard",
    "SetLimits",
    "SetMember",
    "SetPath",
    "SetPortOffloads",
    "SetRelay",
    "SetReplication",
    "SetSource",
    "SetStaticEntries",
    "SetUnderlay",
    "StartCapture",
    "StopCapture",
    "StopReplication",
    "WriteFrame",
]

Command: TypeAlias = (
    InstallReceive
    | InstallSend
    | RemoveReceive
    | RemoveSend
    | RemoveSession
    | SetPath
    | SendTwice
    | AddRelayLeg
    | RemoveRelayLeg
    | SetRelay
    | RemoveRelay
    | OpenPort
    | ClosePort
    | SetPortOffloads
    | SetMember
    | RemoveMember
    | FlushPeer
    | SetLimits
    | StartCapture
    | StopCapture
    | SetStaticEntries
    | SetBlocked
    | SetGroups
    | WriteFrame
    | AnnounceStations
    | SetReplication
    | StopReplication
    | SetAssignment
    | SetSource
    | RemoveSource
    | SetGuard
    | SetUnderlay
    | SendControl
    | SendDatagram
)
