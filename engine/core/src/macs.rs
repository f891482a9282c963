//! mac1, mac2 and cookies: what a stranger must show before anybody does Diffie-Hellman (sections
//! 3.4 and 3.5).

use blake2::digest::consts::{U16, U32};
use blake2::digest::{FixedOutput, KeyInit, Mac, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::endpoint::Path;

/// Bytes of mac1, mac2 and a cookie.
pub const MAC_BYTES: usize = 16;
/// Bytes of a COOKIE.
pub const COOKIE_BYTES: usize = 64;
/// Random bytes in a COOKIE.
pub const NONCE_BYTES: usize = 24;

const PERIOD_S: f64 = 120.0;

/// The key with which everything sent to the owner of an X25519 public key is authenticated.
#[must_use]
pub fn mac1_key(public: &[u8; 32]) -> [u8; 32] {
    Blake2s256::new().chain_update(b"l2mesh mac1").chain_update(public).finalize().into()
}

/// The key that seals the COOKIEs of a responder.
#[must_use]
pub fn cookie_key(public: &[u8; 32]) -> [u8; 32] {
    Blake2s256::new().chain_update(b"l2mesh cookie").chain_update(public).finalize().into()
}

/// Whether the last 16 bytes of `text` authenticate those before, less `behind` bytes.
#[must_use]
pub fn has_mac(key: &[u8], datagram: &[u8], behind: usize) -> bool {
    let Some(end) = datagram.len().checked_sub(behind + MAC_BYTES) else { return false };
    let mac = keyed(key, &datagram[..end]);
    mac.verify_slice(&datagram[end..end + MAC_BYTES]).is_ok()
}

fn keyed(key: &[u8], text: &[u8]) -> Blake2sMac<U16> {
    let mut mac = <Blake2sMac<U16> as KeyInit>::new_from_slice(key).expect("16 or 32 bytes of key");
    Update::update(&mut mac, text);
    mac
}

/// The secret behind our cookies: a new one each 120 s, the one before still accepted.
#[derive(Debug)]
pub struct CookieSecret {
    seed: Zeroizing<[u8; 32]>,
    number: Option<i64>,
    current: Zeroizing<[u8; 32]>,
    previous: Zeroizing<[u8; 32]>,
}

impl CookieSecret {
    /// `seed`: random bytes, drawn anew by each process.
    #[must_use]
    pub fn new(seed: Zeroizing<[u8; 32]>) -> Self {
        Self { seed, number: None, current: Zeroizing::default(), previous: Zeroizing::default() }
    }

    /// The cookie to hand out now; good for at least 120 s.
    pub fn cookie(&mut self, path: &Path, now: f64) -> [u8; MAC_BYTES] {
        self.turn(now);
        cookie_of(&self.current, path)
    }

    /// Whether an INIT from `path` shows the cookie of this period or of the one before.
    pub fn accepts(&mut self, init: &[u8], path: &Path, now: f64) -> bool {
        if init.ends_with(&[0; MAC_BYTES]) {
            return false;
        }
        self.turn(now);
        has_mac(&cookie_of(&self.current, path), init, 0)
            || has_mac(&cookie_of(&self.previous, path), init, 0)
    }

    fn turn(&mut self, now: f64) {
        let number = (now / PERIOD_S).floor() as i64;
        if self.number != Some(number) {
            self.number = Some(number);
            self.current = self.secret(number);
            self.previous = self.secret(number - 1);
        }
    }

    fn secret(&self, number: i64) -> Zeroizing<[u8; 32]> {
        let key = &self.seed[..];
        let mut mac = <Blake2sMac<U32> as KeyInit>::new_from_slice(key).expect("32 bytes of key");
        Update::update(&mut mac, b"l2mesh cookie secret");
        Update::update(&mut mac, &number.to_be_bytes());
        Zeroizing::new(mac.finalize_fixed().into())
    }
}

fn cookie_of(secret: &[u8; 32], path: &Path) -> [u8; MAC_BYTES] {
    let mut text = [0; 26];
    text[..16].copy_from_slice(&path.endpoint.mapped().octets());
    text[16..18].copy_from_slice(&path.endpoint.port.to_be_bytes());
    text[18..].copy_from_slice(&path.relay.to_be_bytes());
    keyed(secret, &text).finalize_fixed().into()
}

/// The COOKIE that answers an INIT of right shape; `key` is our `cookie_key`.
///
/// # Panics
///
/// When `init` is shorter than two MACs, which the guard has made sure it is not.
#[must_use]
pub fn cookie_datagram(
    init: &[u8],
    cookie: [u8; MAC_BYTES],
    key: &[u8; 32],
    nonce: [u8; NONCE_BYTES],
) -> [u8; COOKIE_BYTES] {
    let mut datagram = [0; COOKIE_BYTES];
    datagram[..4].copy_from_slice(&[3, 1, 0, 0]);
    datagram[4..8].copy_from_slice(&init[4..8]);
    datagram[8..32].copy_from_slice(&nonce);
    let mac1 = &init[init.len() - 2 * MAC_BYTES..init.len() - MAC_BYTES];
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: &cookie, aad: mac1 });
    datagram[32..].copy_from_slice(&sealed.expect("16 bytes are not too many"));
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn path(port: u16) -> Path {
        Path { endpoint: Endpoint::new([192, 0, 2, 1].into(), port), relay: 0 }
    }

    fn init(cookie: &[u8; 16]) -> Vec<u8> {
        let mut bytes = vec![1; 368];
        let mac: [u8; 16] = keyed(cookie, &bytes).finalize_fixed().into();
        bytes.extend(mac);
        bytes
    }

    #[test]
    fn a_cookie_is_good_for_its_place_and_for_two_periods() {
        let mut secret = CookieSecret::new(Zeroizing::new([5; 32]));
        let shown = init(&secret.cookie(&path(1), 130.0));
        assert!(secret.accepts(&shown, &path(1), 239.0));
        assert!(secret.accepts(&shown, &path(1), 359.0));
        assert!(!secret.accepts(&shown, &path(1), 361.0));
        assert!(!secret.accepts(&shown, &path(2), 239.0));
        assert!(!secret.accepts(&[0; 384], &path(1), 239.0));
    }

    #[test]
    fn a_mac_covers_what_is_before_it() {
        let key = mac1_key(&[7; 32]);
        let mut bytes = vec![1, 2, 3];
        let mac: [u8; 16] = keyed(&key, &bytes).finalize_fixed().into();
        bytes.extend(mac);
        assert!(has_mac(&key, &bytes, 0));
        bytes.extend([0; 16]);
        assert!(has_mac(&key, &bytes, 16) && !has_mac(&key, &bytes, 0));
        bytes[1] ^= 1;
        assert!(!has_mac(&key, &bytes, 16));
        assert!(!has_mac(&key, &bytes[..20], 16));
    }
}
