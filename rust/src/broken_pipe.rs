//! SIGPIPE. A write to a connection that the other side closed raises it, and a program that is not
//! Rust's from its start dies of it. It goes to the thread that wrote: so threads that may write to
//! connections block it, and the program keeps its own way with it everywhere else.

use std::mem::MaybeUninit;

/// Blocks SIGPIPE in this thread for good.
pub fn block_in_this_thread() {
    let set = broken_pipe_only();
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
}

/// Blocks SIGPIPE in this thread until dropped, and takes away one that came meanwhile.
pub struct Blocked {
    old_mask: libc::sigset_t,
    was_pending: bool,
}

impl Blocked {
    pub fn new() -> Self {
        let was_pending = is_pending();
        let set = broken_pipe_only();
        let mut old_mask = MaybeUninit::uninit();
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, old_mask.as_mut_ptr());
            Blocked {
                old_mask: old_mask.assume_init(),
                was_pending,
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        unsafe {
            if !self.was_pending && is_pending() {
                let now = libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                };
                libc::sigtimedwait(&broken_pipe_only(), std::ptr::null_mut(), &now);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.old_mask, std::ptr::null_mut());
        }
    }
}

fn is_pending() -> bool {
    let mut pending = MaybeUninit::uninit();
    unsafe {
        libc::sigpending(pending.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
    }
}

fn broken_pipe_only() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}
