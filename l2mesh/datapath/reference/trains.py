"""Trains: runs of datagrams of one length to one endpoint, for one UDP_SEGMENT send each.

64 datagrams are the most that every kernel with UDP_SEGMENT takes, and some count a header with
their bytes, so 63 it is; 65,000 bytes leave room for that header below the largest UDP payload.
"""

from collections import deque
from typing import Final

from l2mesh.datapath.interface import Endpoint, Output, Transmit, TransmitTrain

MAX_DATAGRAMS: Final = 63
MAX_BYTES: Final = 65_000


def push_trains(outputs: deque[Output], run: bytes, stride: int, endpoint: Endpoint) -> None:
    """Queue a run of datagrams of `stride` bytes each (the last perhaps shorter) as few trains."""
    most = max(1, min(MAX_DATAGRAMS, MAX_BYTES // stride)) * stride
    for at in range(0, len(run), most):
        train = run[at : at + most]
        if len(train) > stride:
            outputs.append(TransmitTrain(train, stride, endpoint))
        else:
            outputs.append(Transmit(train, endpoint))
