"""The data path: frames in, datagrams out, behind one interface with two implementations.

The reference engine is pure Python, readable, and the oracle that the native engine is tested
against; the native one runs in threads of its own. Both take the same commands, give the same
upcalls, wire bytes and drop reasons, and have the same face free of I/O, with `now` passed in.
"""
