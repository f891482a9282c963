//! The native engine as the Python module `l2mesh.datapath._native`: conversion and delegation.
//!
//! Commands come as the dataclasses of `l2mesh.datapath.interface`, and outputs and upcalls leave as
//! its named tuples. Nobody holds the GIL while the engine works or while he waits for it.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

mod command;
mod engine;
mod output;
mod random;
mod runner;
mod types;

/// `l2mesh.datapath._native`
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::runner::Runner;

    /// Whether frames leave in the clear: true only in a build for benches.
    #[pymodule_export]
    const NULL_CIPHER: bool = cfg!(feature = "null-cipher");
}
