//! Errors that no kernel can be made to give on demand, for tests: what the next calls that send
//! from this thread end with.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

thread_local! {
    static NEXT: RefCell<VecDeque<i32>> = const { RefCell::new(VecDeque::new()) };
}

/// Has the next calls end with these errors, 0 being none.
pub(crate) fn inject(codes: &[i32]) {
    NEXT.with_borrow_mut(|next| next.extend(codes));
}

/// How many are left.
pub(crate) fn left() -> usize {
    NEXT.with_borrow(VecDeque::len)
}

/// Called in place of the kernel's own judgement.
pub(crate) fn next() -> io::Result<()> {
    match NEXT.with_borrow_mut(VecDeque::pop_front) {
        None | Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code)),
    }
}
