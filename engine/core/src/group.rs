//! GROUP: a broadcast that others carry on (section 4.1), as the text of DATA flagged GROUP.
//!
//! ```text
//!  0  u32  assignment      36  u64  generation      48   64   signature
//!  4  32   source          44  u32  counter         112  ...  the frame
//! ```

use crate::header::{MAX_FRAGMENTED, be_u32};
use crate::peers::Fingerprint;

/// Bytes before the frame.
pub const GROUP_HEAD_BYTES: usize = 112;
/// Of these the ones that whoever carries it on may change.
pub const ASSIGNMENT_BYTES: usize = 4;
/// The longest frame: what FRAG can cut.
pub const MAX_GROUP_FRAME: usize = MAX_FRAGMENTED - GROUP_HEAD_BYTES;
const ETHERNET_BYTES: usize = 14;
const GENERATION: usize = 36;
const COUNTER: usize = 44;
const SIGNATURE: usize = 48;

/// One broadcast on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Whom the receiver is to hand it to; 0: nobody.
    pub assignment: u32,
    /// Who made it.
    pub source: &'a Fingerprint,
    /// Since which start of the source.
    pub generation: u64,
    /// Of the source.
    pub counter: u32,
    /// Of the source, over `signed_text`.
    pub signature: &'a [u8],
    /// To a group address, complete.
    pub frame: &'a [u8],
}

impl<'a> Group<'a> {
    /// What a text says; nothing if no frame is inside, or one to a single station.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (head, frame) = text.split_first_chunk::<GROUP_HEAD_BYTES>()?;
        let is_frame = frame.len() >= ETHERNET_BYTES && frame[0] & 1 != 0;
        let generation = head[GENERATION..COUNTER].first_chunk::<8>()?;
        is_frame.then_some(Self {
            assignment: be_u32(head)?,
            source: head[ASSIGNMENT_BYTES..].first_chunk::<32>()?,
            generation: u64::from_be_bytes(*generation),
            counter: be_u32(&head[COUNTER..])?,
            signature: &text[SIGNATURE..GROUP_HEAD_BYTES],
            frame,
        })
    }

    /// The text without assignment.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(GROUP_HEAD_BYTES + self.frame.len());
        text.extend_from_slice(&self.assignment.to_be_bytes());
        text.extend_from_slice(self.source);
        text.extend_from_slice(&self.generation.to_be_bytes());
        text.extend_from_slice(&self.counter.to_be_bytes());
        text.extend_from_slice(self.signature);
        text.extend_from_slice(self.frame);
        text
    }
}

/// What the source of a frame signs (section 9.1, type `frame`).
#[must_use]
pub fn signed_text(network: u64, generation: u64, counter: u32, frame: &[u8]) -> Vec<u8> {
    let mut text = b"l2mesh/1/frame\0".to_vec();
    text.extend_from_slice(&network.to_be_bytes());
    text.extend_from_slice(&generation.to_be_bytes());
    text.extend_from_slice(&counter.to_be_bytes());
    text.extend_from_slice(frame);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
            match Group::parse(&text) {
                Some(group) => prop_assert_eq!(group.text(), text),
                None => prop_assert!(text.len() < 126 || text[112] & 1 == 0),
            }
        }
    }
}
