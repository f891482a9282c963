"""The test vectors of `docs/protocol.md`, section 12.

`cast` holds who and what occurs in them, all drawn from fixed labels; each of the others makes the
cases of some files, which `files` names. `tools/vectors` writes them all.
"""
