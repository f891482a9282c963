//! Sizes and times of every table (section 11). Tests make them smaller.

/// Defaults are the protocol's.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// A send counter that reaches it raises `KeySpent`.
    pub rekey_counter: u64,
    /// Neither sent nor accepted from here on.
    pub refuse_counter: u64,
    /// Frames that wait for one peer.
    pub held_frames: usize,
    /// Bytes of those frames.
    pub held_bytes: usize,
    /// How long they wait.
    pub held_s: f64,
    /// Between two `NeedSession` for one peer and network.
    pub need_session_interval_s: f64,
    /// Between two `SourceSeen` for one peer and path.
    pub source_seen_interval_s: f64,
    /// Paths per peer whose `SourceSeen` is that recent; further ones are not told.
    pub sources_remembered: usize,
    /// Unfinished frames per peer.
    pub fragment_frames: usize,
    /// Bytes of those frames.
    pub fragment_bytes: usize,
    /// How long a frame may stay unfinished.
    pub fragment_s: f64,
    /// Pieces of one frame, sent and accepted.
    pub pieces: usize,
    /// Learned stations behind one peer.
    pub fdb_per_peer: usize,
    /// Learned stations behind this node's own port.
    pub fdb_own: usize,
    /// Learned stations of a network.
    pub fdb_per_network: usize,
    /// Upcalls with control.
    pub control_upcalls: usize,
    /// Upcalls that tell of events.
    pub event_upcalls: usize,
    /// Upcalls with handshakes.
    pub handshake_upcalls: usize,
    /// INITs at once from one source prefix while under load.
    pub guard_burst: u32,
    /// Source prefixes remembered while under load; INITs of further ones are refused.
    pub guard_prefixes: usize,
    /// Datagrams a second that a planet forwards for one client.
    pub relay_rate: u32,
    /// The same, at once.
    pub relay_burst: u32,
    /// Frames that wait for the reader of a capture.
    pub capture_frames: usize,
    /// Bytes of those frames.
    pub capture_bytes: usize,
    /// Own broadcasts that are kept for replicators to come.
    pub recent_frames: usize,
    /// Bytes of those.
    pub recent_bytes: usize,
    /// How long they are kept.
    pub recent_s: f64,
    /// Signatures a second of broadcasts brought by one member that are looked at.
    pub group_rate: u32,
    /// The same, at once.
    pub group_burst: u32,
    /// Copies a second that are made for one source, and at once.
    pub copy_rate: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            rekey_counter: 1 << 31,
            refuse_counter: (1 << 32) - (1 << 16),
            held_frames: 32,
            held_bytes: 64 * 1024,
            held_s: 3.0,
            need_session_interval_s: 1.0,
            source_seen_interval_s: 1.0,
            sources_remembered: 16,
            fragment_frames: 16,
            fragment_bytes: 256 * 1024,
            fragment_s: 1.0,
            pieces: 64,
            fdb_per_peer: 1024,
            fdb_own: 4096,
            fdb_per_network: 8192,
            control_upcalls: 1024,
            event_upcalls: 1024,
            handshake_upcalls: 256,
            guard_burst: 5,
            guard_prefixes: 4096,
            relay_rate: 500_000,
            relay_burst: 250_000,
            capture_frames: 4096,
            capture_bytes: 4 * 1024 * 1024,
            recent_frames: 256,
            recent_bytes: 256 * 1024,
            recent_s: 4.0,
            group_rate: 1000,
            group_burst: 2000,
            copy_rate: 100_000,
        }
    }
}
