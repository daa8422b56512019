//! An allocator that counts the bytes which the current thread holds.
//!
//! A test file that uses it declares `#[global_allocator] static ALLOCATOR: CountingAllocator = CountingAllocator;`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting by thread.
pub struct CountingAllocator;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // Threads that are ending have no counters any more, and nothing is measured there.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call goes unchanged to the system's allocator; counting does not touch the memory.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        count(layout.size() as isize);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `measured` gave, and the most bytes that this thread held during it above what it held before.
pub fn peak_bytes<T>(measured: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = measured();
    (result, (PEAK.get() - before).max(0) as usize)
}

/// What `measured` gave, and how many times this thread allocated during it.
#[allow(dead_code)] // each test file uses some of these
pub fn allocations<T>(measured: impl FnOnce() -> T) -> (T, usize) {
    let before = CALLS.get();
    let result = measured();
    (result, CALLS.get() - before)
}
