//! Nanoseconds to seal and to open one datagram with aws-lc-rs and with ring, in place.
//!
//! The machine may be busy: each figure is the best of many short runs.
//!
//! `cargo run --release --features ring --example aead`
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

const SIZES: [usize; 4] = [64, 512, 1414, 8900];
const RUNS: usize = 400;
const CALLS: u32 = 200;

/// The least nanoseconds a call takes.
fn best(mut call: impl FnMut(u64)) -> f64 {
    let mut least = f64::INFINITY;
    let mut counter = 0;
    for _ in 0..RUNS {
        let begun = Instant::now();
        for _ in 0..CALLS {
            call(counter);
            counter += 1;
        }
        least = least.min(begun.elapsed().as_secs_f64() / f64::from(CALLS));
    }
    least * 1e9
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [7; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

macro_rules! measure {
    ($name:literal, $library:ident, $cipher:ident) => {{
        use $library::aead::{Aad, LessSafeKey, Nonce, UnboundKey, $cipher};
        let key = LessSafeKey::new(UnboundKey::new(&$cipher, &[9; 32]).unwrap());
        for size in SIZES {
            let mut text = vec![0x5a; size + 16];
            let aad = [1; 8];
            let seal = best(|counter| {
                let nonce = Nonce::assume_unique_for_key(nonce(counter));
                let (text, tag) = text.split_at_mut(size);
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(&aad), text).unwrap();
                tag.copy_from_slice(made.as_ref());
                black_box(&text);
            });
            let mut plain = vec![0x5a; size];
            let tag = {
                let nonce = Nonce::assume_unique_for_key(nonce(0));
                key.seal_in_place_separate_tag(nonce, Aad::from(&aad), &mut plain).unwrap()
            };
            plain.extend_from_slice(tag.as_ref());
            // opening destroys what it opened: the copy back is measured and taken off
            let copy = best(|_| {
                text.copy_from_slice(&plain);
                black_box(&text);
            });
            let open = best(|_| {
                text.copy_from_slice(&plain);
                let nonce = Nonce::assume_unique_for_key(nonce(0));
                key.open_in_place(nonce, Aad::from(&aad), &mut text).unwrap();
                black_box(&text);
            }) - copy;
            println!("{:<12} {:<18} {size:>5} {seal:>8.0} {open:>8.0}", $name, stringify!($cipher));
        }
    }};
}

fn main() {
    println!("{:<12} {:<18} {:>5} {:>8} {:>8}", "library", "cipher", "bytes", "seal ns", "open ns");
    for _ in 0..2 {
        measure!("aws-lc-rs", aws_lc_rs, AES_256_GCM);
        measure!("ring", ring, AES_256_GCM);
        measure!("aws-lc-rs", aws_lc_rs, CHACHA20_POLY1305);
        measure!("ring", ring, CHACHA20_POLY1305);
    }
}
