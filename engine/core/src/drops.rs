//! Why a datagram or frame was dropped.

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)*) => {
        /// Why a datagram or frame was dropped; sections 4 and 10 say in which order they are judged.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DropReason { $($(#[$doc])* $reason,)* }

        impl DropReason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];

            /// What `l2mesh counters` shows.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$reason => $name,)* }
            }
        }
    };
}

reasons! {
    /// Too short, or of impossible length, before authentication.
    Malformed = "malformed",
    /// The first byte names no message.
    UnknownType = "unknown_type",
    /// A handshake message for somebody else.
    BadMac1 = "bad_mac1",
    /// Under load, and no right mac2.
    CookieRequired = "cookie_required",
    /// Under load, and the source prefix has had its share.
    HandshakeRate = "handshake_rate",
    /// DATA on an index that is not installed.
    UnknownIndex = "unknown_index",
    /// The counter was there before, or is too old.
    Replay = "replay",
    /// The tag did not verify.
    Forged = "forged",
    /// Authentic, but a flag or combination that has no meaning.
    BadFlags = "bad_flags",
    /// A piece that breaks a rule.
    BadFragment = "bad_fragment",
    /// Unfinished after 1 s, or displaced.
    FragmentLost = "fragment_lost",
    /// CSUM or ELIDED on a frame that cannot have it.
    BadOffload = "bad_offload",
    /// GROUP without a broadcast inside, or from who may not replicate it.
    BadGroup = "bad_group",
    /// Runt, giant or truncated tag stack.
    BadFrame = "bad_frame",
    /// RELAY of an id that is not known from that endpoint.
    UnknownRelay = "unknown_relay",
    /// More than a planet forwards for one client.
    RelayRate = "relay_rate",
    /// The counter is near its end.
    CounterSpent = "counter_spent",
    /// A frame for a network that is not open here.
    NoPort = "no_port",
    /// A frame from somebody who is not in the network.
    NotAMember = "not_a_member",
    /// A MAC that the sender has no right to.
    SourceMac = "source_mac",
    /// An IP address that the sender has no right to.
    SourceIp = "source_ip",
    /// A MAC whose static entry names another place.
    StaticEntry = "static_entry",
    /// ARP that is malformed, or tells of a MAC or an address of another.
    ArpGuard = "arp_guard",
    /// The same of neighbour discovery, or what hides whether it is such.
    NdGuard = "nd_guard",
    /// A router's word without the right `ra`.
    RaGuard = "ra_guard",
    /// A DHCP server's word without the right `dhcp`.
    DhcpGuard = "dhcp_guard",
    /// Nobody to flood it to.
    UnknownUnicast = "unknown_unicast",
    /// The destination is where it came from.
    SamePort = "same_port",
    /// Meant for the neighbour on the wire.
    LinkLocalGroup = "link_local_group",
    /// An IP group, or a report, that nobody there wants.
    GroupUnwanted = "group_unwanted",
    /// Above the limit of its class.
    Storm = "storm",
    /// The network lets nothing of its class pass.
    ClassRefused = "class_refused",
    /// One of our own outer datagrams.
    OwnDatagram = "own_datagram",
    /// Another bridge forwards for this LAN.
    LoopBlocked = "loop_blocked",
    /// No session, or no path, for 3 s.
    HeldTooLong = "held_too_long",
    /// Too many frames wait.
    HeldOverflow = "held_overflow",
    /// Not learned; the frame itself went on.
    FdbFull = "fdb_full",
    /// Two stations claim it; the frame itself went on.
    DuplicateAddress = "duplicate_address",
    /// Not moved in the FDB; the frame itself went on.
    MacFlapping = "mac_flapping",
    /// The control plane does not keep up.
    UpcallOverflow = "upcall_overflow",
}
