//! The headers of DATA, RELAY and pieces (sections 4 and 5).
//!
//! ```text
//! DATA   0  u8   0x80 | flags       RELAY  0  u8   type = 4        piece  0  u32  frame id
//!        1  u24  receiver index            1  u56  relay id               4  u16  offset
//!        4  u32  counter                   8  ...  the datagram           6  u16  total
//!        8  ...  ciphertext | tag 16                                      8  ...  bytes
//! ```

/// Set in the first byte of DATA; the other bits are flags.
pub const DATA_BIT: u8 = 0x80;
/// First byte of a RELAY datagram.
pub const RELAY: u8 = 4;
/// Bytes of a DATA header; they are the AAD.
pub const HEADER_BYTES: usize = 8;
/// What sealing adds behind the text.
pub const TAG_BYTES: usize = 16;
/// Bytes of a datagram beyond its text, and the length of the shortest one.
pub const OVERHEAD: usize = HEADER_BYTES + TAG_BYTES;
/// Bytes of a RELAY header.
pub const RELAY_HEADER_BYTES: usize = 8;
/// Bytes before a piece.
pub const PIECE_HEAD_BYTES: usize = 8;
/// A frame that is cut has an Ethernet header and something in it.
pub const MIN_FRAGMENTED: usize = 15;
/// The longest frame that can be cut.
pub const MAX_FRAGMENTED: usize = 65_535;
/// Receive indices are below it.
pub const INDICES: u32 = 1 << 24;

/// Flags of DATA.
pub mod flag {
    /// The text is control records, on an index of network 0.
    pub const CONTROL: u8 = 0x01;
    /// The text is a piece of a frame.
    pub const FRAG: u8 = 0x02;
    /// Continues the super-frame of the counter before.
    pub const CONT: u8 = 0x04;
    /// The L4 checksum field holds only the sum of the pseudo header.
    pub const CSUM: u8 = 0x08;
    /// The Ethernet header is left out.
    pub const ELIDED: u8 = 0x10;
    /// The text is a broadcast that others carry on.
    pub const GROUP: u8 = 0x20;
    /// Those that may stand together.
    pub const OFFLOADS: u8 = CONT | CSUM | ELIDED;
}

/// The first half of a DATA header.
#[must_use]
pub fn data_word(flags: u8, index: u32) -> u32 {
    u32::from(DATA_BIT | flags) << 24 | index
}

/// Flags, index and counter of a datagram of at least 8 bytes.
#[must_use]
pub fn parse_data(datagram: &[u8]) -> Option<(u8, u32, u32)> {
    let (head, _) = datagram.split_first_chunk::<4>()?;
    let word = u32::from_be_bytes(*head);
    let (counter, _) = datagram[4..].split_first_chunk::<4>()?;
    Some(((word >> 24) as u8 & !DATA_BIT, word & (INDICES - 1), u32::from_be_bytes(*counter)))
}

/// The number that bytes begin with.
#[must_use]
pub fn be_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|head| u32::from_be_bytes(*head))
}

/// The header that goes before each datagram of a relay.
#[must_use]
pub fn relay_head(relay: u64) -> [u8; RELAY_HEADER_BYTES] {
    (u64::from(RELAY) << 56 | relay).to_be_bytes()
}

/// The relay id of a datagram, and nothing if it is too short to have something inside.
#[must_use]
pub fn parse_relay(datagram: &[u8]) -> Option<u64> {
    let (head, inside) = datagram.split_first_chunk::<8>()?;
    (!inside.is_empty()).then(|| u64::from_be_bytes(*head) & ((1 << 56) - 1))
}

/// The head of a piece of the frame `number`.
#[must_use]
pub fn piece_head(number: u32, offset: u16, total: u16) -> [u8; PIECE_HEAD_BYTES] {
    (u64::from(number) << 32 | u64::from(offset) << 16 | u64::from(total)).to_be_bytes()
}

/// Frame id, offset, total and bytes of a piece that is not empty.
#[must_use]
pub fn parse_piece(text: &[u8]) -> Option<(u32, u16, u16, &[u8])> {
    let (head, bytes) = text.split_first_chunk::<PIECE_HEAD_BYTES>()?;
    let head = u64::from_be_bytes(*head);
    (!bytes.is_empty()).then_some(((head >> 32) as u32, (head >> 16) as u16, head as u16, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_datagrams_have_no_header() {
        assert_eq!(parse_data(&[0x80; 7]), None);
        assert_eq!(parse_relay(&[4; 8]), None);
        assert_eq!(parse_piece(&[0; 8]), None);
    }

    proptest! {
        #[test]
        fn data_headers_survive(flags in 0u8..128, index in 0u32..INDICES, counter: u32) {
            let mut bytes = data_word(flags, index).to_be_bytes().to_vec();
            bytes.extend(counter.to_be_bytes());
            prop_assert_eq!(parse_data(&bytes), Some((flags, index, counter)));
        }

        #[test]
        fn relay_heads_survive(relay in 1u64..1 << 56, inside in 1usize..9) {
            let mut bytes = relay_head(relay).to_vec();
            bytes.extend(vec![0x80; inside]);
            prop_assert_eq!(bytes[0], RELAY);
            prop_assert_eq!(parse_relay(&bytes), Some(relay));
        }

        #[test]
        fn piece_heads_survive(number: u32, offset: u16, total: u16, bytes in prop::collection::vec(any::<u8>(), 1..9)) {
            let mut text = piece_head(number, offset, total).to_vec();
            text.extend(&bytes);
            prop_assert_eq!(parse_piece(&text), Some((number, offset, total, &bytes[..])));
        }
    }
}
