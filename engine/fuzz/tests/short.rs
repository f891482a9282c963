//! Every target for a moment: with bytes drawn from a fixed seed, and with those that broke it once.

use std::fs;
use std::path::Path;

use l2mesh_fuzz::TARGETS;

const RUNS: u64 = 3000;
const MOST_BYTES: u64 = 700;

/// `SplitMix64`: good enough to choose bytes, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Bytes of all values, or of small ones, which choose more often the same.
    fn bytes(&mut self) -> Vec<u8> {
        let length = self.roll() % MOST_BYTES;
        let mask = if self.roll().is_multiple_of(2) { 0xff } else { 0x0f };
        (0..length).map(|_| self.roll() as u8 & mask).collect()
    }
}

#[test]
fn whatever_bytes_come_no_target_breaks() {
    for (number, (_, run)) in TARGETS.iter().enumerate() {
        let mut dice = Dice(number as u64);
        (0..RUNS).for_each(|_| run(&dice.bytes()));
        run(&[]);
    }
}

/// `found/TARGET/*` are the shortest bytes of each fault that was found.
#[test]
fn what_was_found_once_stays_mended() {
    for (name, run) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(name);
        for entry in fs::read_dir(folder).into_iter().flatten() {
            run(&fs::read(entry.expect("an entry").path()).expect("its bytes"));
        }
    }
}
