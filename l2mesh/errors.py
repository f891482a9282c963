"""The project's exceptions.

What went wrong decides who learns of it, and each of the three audiences has a form of its own:

* A **stranger's** packet is dropped and counted under a `DropReason`. A parser or a primitive below
  may raise `MalformedPacket` or `CryptoError` on the way; neither leaves the node's edge,
  and nothing is answered.
* An authenticated **peer** gets a coded ERROR, or its session is closed.
* Our **caller** gets an exception from this tree, whose message names what was asked and what was
  wrong, and whose `hint` says what to do about it.

No message holds a key, a token or a payload.
"""


class L2meshError(Exception):
    """The root of everything the project raises on purpose.

    `hint` is one sentence for a person, "" when there is nothing to advise.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MalformedPacket(L2meshError, ValueError):
    """Bytes that are no valid message: the only exception of a parser, whatever it is fed."""


class CryptoError(L2meshError):
    """A tag or a signature does not verify, or a key or point is unusable.

    It never says which of these an attacker got right.
    """


class HandshakeError(L2meshError):
    """A handshake that is cryptographically sound and still refused, such as a foreign identity."""


class StateError(L2meshError):
    """A call that the object's present state does not allow; nothing was changed."""


class ConfigError(L2meshError):
    """A setting, a file or an argument that we cannot work with."""
