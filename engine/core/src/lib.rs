//! The data path of l2mesh: a switch whose ports are this node's TAP devices and its peers.
//!
//! The same rules as the reference engine in Python, module by module, with the same wire bytes,
//! upcalls, counters and drop reasons; sections named here are those of `docs/protocol.md`. Nothing
//! here does I/O, reads a clock or draws a random byte by itself.
//!
//! * [`engine`] composes the parts and hands each command, frame and datagram to one of them;
//! * [`switching`] judges each frame, both ways, for the networks of [`ports`]: [`forward`] decides
//!   with [`fdb`] and [`limits`], [`recent`] spares that to the rest of a run and [`alike`] more to
//!   the rest of a flow, [`own`] recognises our own datagrams, [`beacon`] frames of the loop guard,
//!   [`ethernet`] reads headers and [`inside`] what is behind them, [`rights`] judges that by signed
//!   [`addresses`], [`resolution`] knows whom to ask, [`offences`] names culprits;
//! * [`send`] cuts and seals frames, [`held`] keeps those that cannot leave yet;
//! * [`receive`] opens DATA, [`replay`] refuses what came before, [`fragments`] puts frames together;
//! * [`broadcaster`] signs broadcasts for others to replicate, [`replication`] believes signed ones and
//!   carries them on, both as [`group`] has them on the wire;
//! * [`capture`] keeps frames for whoever looks;
//! * [`guard`] judges the handshakes of strangers with [`macs`], [`relay`] forwards for clients;
//! * [`offload`] splits super-frames and makes them;
//! * [`twice`] sends copies by a second path for a moment;
//! * [`peers`] holds keys and paths, [`journal`] has [`counters`], [`drops`] and [`upcall`]s, all
//!   within [`bounds`];
//! * [`sink`] takes what comes out; [`collect`] is the one that queues it for callers without I/O.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod aead;
pub mod alike;
pub mod beacon;
pub mod bounds;
pub mod broadcaster;
pub mod capture;
pub mod claims;
pub mod collect;
pub mod command;
pub mod counters;
pub mod drops;
pub mod endpoint;
pub mod engine;
pub mod ethernet;
pub mod fdb;
pub mod flow;
pub mod forward;
pub mod fragments;
pub mod group;
pub mod groups;
pub mod guard;
pub mod header;
pub mod held;
pub mod inside;
pub mod journal;
pub mod limits;
pub mod macs;
pub mod offences;
pub mod offload;
pub mod own;
pub mod peers;
pub mod ports;
pub mod random;
pub mod receive;
pub mod recent;
pub mod register;
pub mod relay;
pub mod replay;
pub mod replication;
pub mod resolution;
pub mod rights;
pub mod send;
pub mod sink;
pub mod switching;
pub mod twice;
pub mod upcall;

pub use endpoint::{Endpoint, Path};
pub use engine::Engine;
