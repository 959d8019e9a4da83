//! Shows what is being done, on one line of a terminal. Elsewhere only notes are printed.

use std::io::{self, Write as _};
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
        note(&self.0, line);
    }

    /// For whoever has lines to write while this is shown, or later.
    pub(crate) fn others(&self) -> Notes {
        Notes(To::Stderr(self.0.clone()))
    }

    /// Begins the next step.
    pub(crate) fn begins(&self, text: &str) {
        self.0.inc(1);
        self.says(text);
    }
}

fn note(bar: &ProgressBar, line: &str) {
    // Nothing can be done about a stderr that is closed.
    bar.suspend(|| writeln!(io::stderr(), "{line}").unwrap_or_default());
}

/// Where lines go that others have to say.
#[derive(Clone)]
pub(crate) struct Notes(To);

#[derive(Clone)]
enum To {
    Stderr(ProgressBar),
    #[cfg(test)]
    Kept(std::sync::Arc<std::sync::Mutex<Vec<String>>>),
}

impl Notes {
    /// With no progress shown.
    pub(crate) fn plain() -> Self {
        Self(To::Stderr(ProgressBar::hidden()))
    }

    /// Writes a line to stderr that stays.
    pub(crate) fn line(&self, line: &str) {
        match &self.0 {
            To::Stderr(bar) => note(bar, line),
            #[cfg(test)]
            To::Kept(lines) => lines.lock().unwrap().push(line.to_owned()),
        }
    }

    /// Keeps the lines.
    #[cfg(test)]
    pub(crate) fn kept() -> (Self, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
        let lines = std::sync::Arc::default();
        (Self(To::Kept(std::sync::Arc::clone(&lines))), lines)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
