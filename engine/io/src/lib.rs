//! The I/O of the native engine: TAP devices, UDP sockets and the threads between them.
