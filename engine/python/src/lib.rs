//! The native engine as the Python module `l2mesh.datapath._native`: conversion and delegation.
#![forbid(unsafe_code)]
