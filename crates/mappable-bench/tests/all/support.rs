//! Runs the benchmarks, and looks at what they wrote.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of its own for each test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `mappable-bench` there.
    pub(crate) fn bench<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mappable-bench"));
        Done(command.current_dir(self.0.path()).args(args).stdin(Stdio::null()).output().unwrap())
    }

    /// The names of all that is there.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

/// What a benchmark did.
pub(crate) struct Done(Output);

impl Done {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or_else(|| panic!("killed: {self:?}"))
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert!(self.0.status.success() && self.0.stderr.is_empty(), "{self:?}");
        self
    }

    /// Failed with this code and one line that says all of this.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, says: &[&str]) {
        let line = String::from_utf8_lossy(&self.0.stderr);
        assert_eq!(self.code(), code, "{line}");
        assert!(line.starts_with("error: ") && line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
        for word in says {
            assert!(line.contains(word), "{word:?} is not in {line:?}");
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.0.stdout).unwrap()
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.status, String::from_utf8_lossy(&self.0.stderr))
    }
}
