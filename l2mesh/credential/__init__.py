"""What is signed: membership, network config, revocation and world.

A signature covers `"l2mesh/1/<type>" 0x00 | network ID | exact bytes`. The exact bytes are carried
along and never re-encoded, for two encoders that differ in one bit would make a valid object
invalid. Serials, epochs and revisions only ever rise, so that validity needs no wall clock.
"""
