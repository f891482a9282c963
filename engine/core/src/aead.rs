//! The AEAD of one index in one direction. `docs/performance.md` says why this library.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::header::{HEADER_BYTES, OVERHEAD, TAG_BYTES};

/// The transport AEAD of a session, with its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// Where both ends have AES hardware.
    Aes256Gcm = 1,
    /// Everywhere else.
    ChaCha20Poly1305 = 2,
}

/// Key and salt of one index, as a command brings them. Erased when dropped.
#[derive(Clone)]
pub struct KeyMaterial {
    /// Which AEAD.
    pub cipher: Cipher,
    /// 32 bytes.
    pub key: Zeroizing<[u8; 32]>,
    /// The fixed front of the nonce.
    pub salt: [u8; 4],
}

impl std::fmt::Debug for KeyMaterial {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "<{:?} key>", self.cipher)
    }
}

/// The tag did not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// What seals and opens whole DATA datagrams in place; the counter never comes twice with a key.
pub trait Aead: Send {
    /// `datagram` holds header and text and ends in room for the tag; now it is sealed.
    fn seal(&self, counter: u32, datagram: &mut [u8]);

    /// Opens a datagram of at least 24 bytes; its text lies between header and tag.
    ///
    /// # Errors
    ///
    /// The tag does not verify. What was the ciphertext is then of no use.
    fn open(&self, counter: u32, datagram: &mut [u8]) -> Result<(), Forged>;
}

/// The AEAD that all indices use.
#[cfg(not(feature = "null-cipher"))]
pub type Transport = Library;
/// No AEAD for frames: for measuring what one costs.
#[cfg(feature = "null-cipher")]
pub type Transport = Null;

/// What seals or opens on an index of `network`; 0 is control.
#[cfg(not(feature = "null-cipher"))]
#[must_use]
pub fn transport(_network: u64, material: &KeyMaterial) -> Transport {
    Library::new(material)
}

/// The same in a build for benches: control is sealed, so that others understand it.
#[cfg(feature = "null-cipher")]
#[must_use]
pub fn transport(network: u64, material: &KeyMaterial) -> Transport {
    if network == 0 { Null::Control(Library::new(material)) } else { Null::Frames }
}

/// AES-256-GCM or ChaCha20-Poly1305 of aws-lc. The expanded key is erased when dropped.
#[derive(Debug)]
pub struct Library {
    key: LessSafeKey,
    salt: [u8; 4],
}

impl Library {
    /// # Panics
    ///
    /// Never: both ciphers take every key of 32 bytes.
    #[must_use]
    pub fn new(material: &KeyMaterial) -> Self {
        let algorithm = match material.cipher {
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &*material.key).expect("a key of 32 bytes");
        Self { key: LessSafeKey::new(key), salt: material.salt }
    }

    fn nonce(&self, counter: u32) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.salt);
        nonce[8..].copy_from_slice(&counter.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Aead for Library {
    fn seal(&self, counter: u32, datagram: &mut [u8]) {
        assert!(datagram.len() >= OVERHEAD, "room for header and tag");
        let (header, rest) = datagram.split_at_mut(HEADER_BYTES);
        let (text, room) = rest.split_at_mut(rest.len() - TAG_BYTES);
        let made =
            self.key.seal_in_place_separate_tag(self.nonce(counter), Aad::from(header), text);
        // it fails only for texts of 64 GiB
        room.copy_from_slice(made.expect("a text below 64 KiB").as_ref());
    }

    fn open(&self, counter: u32, datagram: &mut [u8]) -> Result<(), Forged> {
        let (header, rest) = datagram.split_at_mut_checked(HEADER_BYTES).ok_or(Forged)?;
        let opened = self.key.open_in_place(self.nonce(counter), Aad::from(header), rest);
        opened.map(|_| ()).map_err(|_| Forged)
    }
}

/// Leaves frames in the clear and believes them.
#[cfg(feature = "null-cipher")]
#[derive(Debug)]
pub enum Null {
    /// As in any build.
    Control(Library),
    /// Sixteen zeros for a tag that nobody looks at.
    Frames,
}

#[cfg(feature = "null-cipher")]
impl Aead for Null {
    fn seal(&self, counter: u32, datagram: &mut [u8]) {
        match self {
            Self::Control(library) => library.seal(counter, datagram),
            Self::Frames => {
                let end = datagram.len();
                datagram[end - TAG_BYTES..].fill(0);
            }
        }
    }

    fn open(&self, counter: u32, datagram: &mut [u8]) -> Result<(), Forged> {
        match self {
            Self::Control(library) => library.open(counter, datagram),
            Self::Frames => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transport(cipher: Cipher, key: u8) -> Library {
        Library::new(&KeyMaterial { cipher, key: Zeroizing::new([key; 32]), salt: [1, 2, 3, 4] })
    }

    #[test]
    fn keys_do_not_show() {
        let material = KeyMaterial {
            cipher: Cipher::Aes256Gcm,
            key: Zeroizing::new([0x77; 32]),
            salt: [9; 4],
        };
        assert!(!format!("{material:?}").contains("77"));
        assert!(!format!("{material:?}").contains("119"));
    }

    /// The feature is for benches alone: no crate may switch it on by default.
    #[cfg(not(feature = "null-cipher"))]
    #[test]
    fn the_null_cipher_is_in_no_release() {
        for manifest in ["core", "fuzz", "io", "python"] {
            let path = format!("{}/../{manifest}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).expect("a manifest");
            let on = text.lines().filter(|line| line.contains("null-cipher"));
            assert!(on.clone().all(|line| line.starts_with("null-cipher = [")), "{manifest}");
            assert!(!text.contains("default = ["), "{manifest}: a feature is on by default");
        }
        let mut datagram = [0x5a; 64];
        transport(Cipher::Aes256Gcm, 1).seal(0, &mut datagram);
        assert_ne!(datagram[8..48], [0x5a; 40]);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else(
            is_aes: bool, counter: u32, text in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0u8..8,
        ) {
            let cipher = if is_aes { Cipher::Aes256Gcm } else { Cipher::ChaCha20Poly1305 };
            let transport = transport(cipher, 3);
            let mut datagram = vec![7; HEADER_BYTES];
            datagram.extend(&text);
            datagram.extend([0; TAG_BYTES]);
            transport.seal(counter, &mut datagram);
            let mut forged = datagram.clone();
            let place = at.index(forged.len());
            forged[place] ^= 1 << bit;
            prop_assert_eq!(transport.open(counter, &mut forged), Err(Forged));
            prop_assert_eq!(transport.open(counter ^ 1, &mut datagram.clone()), Err(Forged));
            prop_assert_eq!(transport.open(counter, &mut datagram), Ok(()));
            prop_assert_eq!(&datagram[HEADER_BYTES..HEADER_BYTES + text.len()], &text[..]);
        }
    }
}
