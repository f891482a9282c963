//! What happened to descriptors, for any thread to read.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the start, each written by one worker and read by anybody.
        #[derive(Debug, Default)]
        pub struct IoCounters {
            $($(#[$doc])* pub(crate) $name: AtomicU64,)*
            /// By what was done and the name of the error.
            errors: Mutex<BTreeMap<(&'static str, i32), u64>>,
        }

        impl IoCounters {
            /// All of them by name; those that are zero are left out.
            #[must_use]
            pub fn totals(&self) -> Vec<(String, u64)> {
                let mut totals = vec![
                    $((stringify!($name).to_owned(), self.$name.load(Ordering::Relaxed)),)*
                ];
                let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
                totals.extend(errors.iter().map(|((what, code), count)| {
                    (format!("{what}_{}", error_name(*code)), *count)
                }));
                totals.retain(|(_, count)| *count > 0);
                totals
            }
        }
    };
}

counters! {
    /// Returns from `epoll_wait`.
    worker_wakes,
    /// Microseconds for which the worker stayed awake with nothing to do (`busy_poll`).
    worker_polled_us,
    /// Times that the worker began anew after a fault of ours.
    worker_panics,
    /// Calls of `recvmmsg` that gave something.
    udp_receive_calls,
    /// Filled slots: datagrams, or runs of them merged by the kernel.
    udp_receive_buffers,
    /// Datagrams for which the socket's buffer had no room.
    udp_receive_overflow,
    /// Longer than any datagram can be.
    udp_receive_cut,
    /// Calls of `sendmmsg`.
    udp_send_calls,
    /// Messages given to it: datagrams or trains.
    udp_send_messages,
    /// Trains among them.
    udp_send_trains,
    /// Trains that the kernel refused and that left one by one.
    udp_gso_refused,
    /// Times that a socket was full and the ports had to wait.
    udp_send_waits,
    /// Datagrams that no socket of their family could send.
    underlay_send_no_family,
    /// Datagrams thrown away because a socket stayed full.
    underlay_send_overflow,
    /// Datagrams given to the control plane to carry them over a stream.
    stream_datagrams_out,
    /// Datagrams that came from there.
    stream_datagrams_in,
    /// Datagrams for streams that were dropped because it does not keep up.
    stream_overflow,
    /// Frames and super-frames read.
    tap_reads,
    /// Super-frames among them.
    tap_super_frames_in,
    /// Frames with a virtio header that makes no sense.
    tap_bad_vnet,
    /// Frames and super-frames written.
    tap_writes,
    /// Super-frames among them.
    tap_super_frames_out,
    /// Super-frames of TCP that the kernel refused and that were written frame by frame.
    tap_tso_refused,
    /// The same of UDP.
    tap_uso_refused,
    /// Frames for a port that is not attached.
    port_write_no_port,
    /// Super-frames of TCP marked "congestion experienced" because a queue stood.
    congestion_marks,
    /// The same dropped, since their sender takes no marks or does not heed them.
    congestion_drops,
}

/// Adds to a counter that only this thread writes, so that no bus has to be locked for it.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl IoCounters {
    /// Counts an error by its name, such as `port_write_eio`.
    pub(crate) fn error(&self, what: &'static str, error: &io::Error) {
        let code = error.raw_os_error().unwrap_or(0);
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry((what, code)).or_default() += 1;
    }
}

/// The name of an error that sockets and devices give, in lower case as counters have it.
fn error_name(code: i32) -> String {
    let name = match code {
        libc::EPERM => "eperm",
        libc::EIO => "eio",
        libc::EAGAIN => "eagain",
        libc::ENOMEM => "enomem",
        libc::EACCES => "eacces",
        libc::EINVAL => "einval",
        libc::EMSGSIZE => "emsgsize",
        libc::ENOBUFS => "enobufs",
        libc::ENETDOWN => "enetdown",
        libc::ENETUNREACH => "enetunreach",
        libc::EHOSTUNREACH => "ehostunreach",
        libc::ECONNREFUSED => "econnrefused",
        libc::EADDRNOTAVAIL => "eaddrnotavail",
        libc::EBADFD => "ebadfd",
        libc::EBADF => "ebadf",
        libc::ENODEV => "enodev",
        libc::EAFNOSUPPORT => "eafnosupport",
        _ => return format!("errno_{code}"),
    };
    name.to_owned()
}
