//! When something is done again.

use std::time::{Duration, Instant};

use crate::pairing::fields::random;

const FIRST: Duration = Duration::from_millis(500);

/// It is due at once, and then ever less often.
#[derive(Clone, Copy)]
pub struct Again {
    due: Option<Instant>,
    pause: Duration,
}

impl Default for Again {
    fn default() -> Self {
        Self { due: None, pause: FIRST }
    }
}

impl Again {
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// By a pause that is twice as long as the one before, up to `longest`, give or take half of it by chance.
    pub fn put_off(&mut self, now: Instant, longest: Duration) {
        let by_chance = f64::from(u32::from_be_bytes(random())) / f64::from(u32::MAX);
        self.due = Some(now + self.pause.mul_f64(0.5 + by_chance));
        self.pause = longest.min(2 * self.pause);
    }

    /// Due after this long, however it goes; that it has gone well, `calm` says.
    pub fn rest(&mut self, now: Instant, pause: Duration) {
        self.due = Some(now + pause);
    }

    pub fn calm(&mut self) {
        self.pause = FIRST;
    }
}
