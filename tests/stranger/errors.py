"""The one way in which the stranger refuses what it is given."""


class Refused(Exception):
    """Bytes or objects that the protocol's document tells a peer to refuse."""


def require(condition: object, why: str) -> None:
    """Raise Refused, which tells `why`, unless the condition holds."""
    if not condition:
        raise Refused(why)
