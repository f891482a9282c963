//! One target under libFuzzer: `tools/fuzz TARGET [SECONDS]`, which names it in `L2MESH_FUZZ`.
#![no_main]

use std::sync::OnceLock;

use l2mesh_fuzz::{TARGETS, find};

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fn chosen() -> fn(&[u8]) {
    let name = std::env::var("L2MESH_FUZZ").unwrap_or_default();
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    find(&name).unwrap_or_else(|| panic!("L2MESH_FUZZ is {name:?}; one of {names:?}"))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.get_or_init(chosen)(bytes));
