//! What sealing and opening a full datagram takes with header, counter and replay window, beside the
//! library's own loop over the same bytes: nanoseconds, and the ratio.
//!
//! The two take turns, and the machine may be busy: each figure is the best of many short runs.
//!
//! `cargo run --release --example seal`
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use l2mesh_core::aead::{Aead, Cipher, KeyMaterial, Library};
use l2mesh_core::header::{HEADER_BYTES, OVERHEAD, data_word, flag, parse_data};
use l2mesh_core::replay::ReplayWindow;

const TEXT_BYTES: usize = 1414;
const KEY: [u8; 32] = [9; 32];
const SALT: [u8; 4] = [7; 4];
const RUNS: usize = 2000;
const CALLS: u32 = 100;

fn time(mut call: impl FnMut(u32)) -> f64 {
    let begun = Instant::now();
    (0..CALLS).for_each(&mut call);
    begun.elapsed().as_secs_f64() / f64::from(CALLS) * 1e9
}

fn main() {
    let ours =
        Library::new(&KeyMaterial { cipher: Cipher::Aes256Gcm, key: KEY.into(), salt: SALT });
    let theirs = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
    let mut datagram = vec![0x5a; TEXT_BYTES + OVERHEAD];
    let mut text = vec![0x5a; TEXT_BYTES + 16];
    let nonce = |counter: u32| {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&SALT);
        nonce[8..].copy_from_slice(&counter.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    };
    let (mut engine, mut library) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        let mut window = ReplayWindow::default();
        engine = engine.min(time(|counter| {
            let word = data_word(flag::CSUM, 0x12_3456).to_be_bytes();
            datagram[..4].copy_from_slice(&word);
            datagram[4..HEADER_BYTES].copy_from_slice(&counter.to_be_bytes());
            ours.seal(counter, &mut datagram);
            let (_, _, counter) = parse_data(black_box(&datagram)).unwrap();
            assert!(window.check(counter));
            ours.open(counter, &mut datagram).unwrap();
            window.commit(counter);
            black_box(&datagram);
        }));
        library = library.min(time(|counter| {
            let (body, tag) = text.split_at_mut(TEXT_BYTES);
            let aad = || Aad::from([1; HEADER_BYTES]);
            let made = theirs.seal_in_place_separate_tag(nonce(counter), aad(), body).unwrap();
            tag.copy_from_slice(made.as_ref());
            theirs.open_in_place(nonce(counter), aad(), black_box(&mut text)).unwrap();
            black_box(&text);
        }));
    }
    println!("engine {engine:.1} library {library:.1} ratio {:.3}", engine / library);
}
