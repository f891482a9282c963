//! What the engine counts: totals by name, drops by reason.

use crate::drops::DropReason;

/// How often each reason has dropped something.
#[derive(Clone, Debug)]
struct Drops([u64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the engine was made. Bytes are those of UDP payloads, or of whole frames.
        #[derive(Clone, Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            drops: Drops,
        }

        impl Counters {
            /// Everything but the drops, by name.
            pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

totals! {
    /// Read from ports.
    frames_in,
    /// Read from ports.
    frame_bytes_in,
    /// Written to ports.
    frames_out,
    /// Written to ports.
    frame_bytes_out,
    /// Frames from ports that were to be cut; each is also one of `frames_in`.
    superframes_in,
    /// Frames to ports that were merged of several; each is also one of `frames_out`.
    superframes_out,
    /// Received by the UDP socket.
    datagrams_in,
    /// Received by the UDP socket.
    datagram_bytes_in,
    /// Sent by the UDP socket.
    datagrams_out,
    /// Sent by the UDP socket.
    datagram_bytes_out,
    /// Datagrams that left by a second path as well; each is also one of `datagrams_out`.
    copies_out,
    /// Frames from ports that went to every member, or to every bridge.
    frames_flooded,
    /// Frames from ports that left for replicators; each is one of `frames_flooded`.
    frames_signed,
    /// Copies of others' broadcasts that were made for them.
    frames_replicated,
    /// Frames sent in pieces.
    frames_fragmented,
    /// Frames put together from pieces.
    frames_reassembled,
    /// Frames that had to wait.
    frames_held,
    /// Forwarded for clients; also counted as datagrams.
    relayed_packets,
    /// Forwarded for clients.
    relayed_bytes,
    /// Let up by the guard.
    handshakes_in,
    /// Answers to INITs under load.
    cookies_out,
}

impl Counters {
    /// Note that a frame or datagram was dropped.
    pub fn drop(&mut self, reason: DropReason) {
        self.drop_many(reason, 1);
    }

    /// Note that `count` frames or datagrams were dropped.
    pub fn drop_many(&mut self, reason: DropReason, count: u64) {
        self.drops.0[reason as usize] += count;
    }

    /// Note `count` datagrams that left, `bytes` long together.
    pub fn sent(&mut self, count: u64, bytes: usize) {
        self.datagrams_out += count;
        self.datagram_bytes_out += bytes as u64;
    }

    /// Reasons that have occurred, and how often.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        let all = DropReason::ALL.iter().map(|&reason| (reason, self.drops.0[reason as usize]));
        all.filter(|&(_, count)| count > 0)
    }
}
