//! A limit on bytes per second, shared by all who send much.

use std::sync::Mutex;
use std::time::{Duration, Instant};

pub struct Throttle {
    bytes_per_second: f64,
    // When all bytes that were let through so far will have left at the given rate.
    clear_at: Mutex<Instant>,
}

impl Throttle {
    pub fn new(bytes_per_second: u64) -> Self {
        Throttle {
            bytes_per_second: bytes_per_second as f64,
            clear_at: Mutex::new(Instant::now()),
        }
    }

    /// Waits for the turn of `bytes`: in the order of asking, at the given rate, without credit
    /// for time that nobody used.
    pub async fn wait_for(&self, bytes: usize) {
        let turn = {
            let mut clear_at = self
                .clear_at
                .lock()
                .unwrap_or_else(|lock| lock.into_inner());
            *clear_at = (*clear_at).max(Instant::now())
                + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
            *clear_at
        };
        tokio::time::sleep_until(turn.into()).await;
    }
}
