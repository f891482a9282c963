//! Random bytes from a Python callable: in tests, where both engines are to draw the same.

use l2mesh_core::random::{Random, System};
use pyo3::prelude::*;

/// Calls `random(size)`.
pub(crate) struct Callable(pub(crate) Py<PyAny>);

impl Random for Callable {
    fn fill(&mut self, bytes: &mut [u8]) {
        let drawn = Python::attach(|py| {
            let drawn: Vec<u8> = self.0.call1(py, (bytes.len(),))?.extract(py)?;
            PyResult::Ok(drawn)
        });
        match drawn {
            Ok(drawn) if drawn.len() == bytes.len() => bytes.copy_from_slice(&drawn),
            // what it gives instead must be no less random
            _ => System::default().fill(bytes),
        }
    }
}
