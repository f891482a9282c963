"""Damages valid input in ways that parsers must survive.

The damage follows from one number, which hypothesis draws and reports: drawing each change apart
took ten times as long and found nothing more.
"""

from random import Random

from hypothesis import strategies as st

_INTERESTING = (
    *(b"\0", b"\1", b"\x7f", b"\x80", b"\xc0", b"\xc1", b"\xff", b"\xff\xff", b"\xff" * 4),
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 20),
)
_MOST_CHANGES = 6


def mutated(valid: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """One of the valid inputs after one to six small changes."""
    return st.builds(damage, st.sampled_from(valid), st.integers(0, 2**32 - 1))


def damage(data: bytes, seed: int) -> bytes:
    """`data` with the changes that `seed` stands for."""
    random = Random(seed)
    for _ in range(random.randint(1, _MOST_CHANGES)):
        data = _change(data, random)
    return data


def _change(data: bytes, random: Random) -> bytes:
    """One bit flipped, or bytes put in, put over others, taken out or doubled."""
    start = random.randint(0, len(data))
    end = start + random.randint(1, 64)
    put = random.choice(_INTERESTING) if random.random() < 0.5 else random.randbytes(4)
    match random.randrange(5):
        case 0 if data:
            at = random.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:start] + put + data[start:]
        case 2:
            return data[:start] + put + data[start + len(put) :]
        case 3:
            return data[:start] + data[end:]
        case _:
            return data[:end] + data[start:]
