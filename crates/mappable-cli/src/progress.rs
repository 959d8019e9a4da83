//! Shows what is being done, on one line of a terminal. Elsewhere only notes are printed.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The line. It goes when this is dropped: what is said next has the line to itself.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// For so many steps.
    pub(crate) fn new(steps: usize) -> Self {
        let bar = ProgressBar::new(steps as u64);
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{pos}/{len}] {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what this step does.
    pub(crate) fn says(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// Writes a line to stderr that stays.
    pub(crate) fn notes(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }

    /// Begins the next step.
    pub(crate) fn begins(&self, text: &str) {
        self.0.inc(1);
        self.says(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
