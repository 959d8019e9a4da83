//! Runs the command, and looks at what it wrote.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder of its own for each test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a file there.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The names of all that is there.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Runs the command there.
    pub(crate) fn mappable<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Done {
        self.mappable_with(args, b"")
    }

    pub(crate) fn mappable_with<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, stdin: &[u8]) -> Done {
        self.run(Command::new(env!("CARGO_BIN_EXE_mappable")).args(args), stdin)
    }

    /// Runs another command there.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = A>) -> Done {
        self.run(Command::new(program).args(args), b"")
    }

    /// Begins the command there.
    pub(crate) fn begin<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Child {
        self.spawn(Command::new(env!("CARGO_BIN_EXE_mappable")).args(args))
    }

    fn spawn(&self, command: &mut Command) -> Child {
        command.current_dir(self.0.path());
        // Not the user's: what tests compile is kept with what they are built from.
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn run(&self, command: &mut Command, stdin: &[u8]) -> Done {
        let mut child = self.spawn(command);
        // A command that fails before it reads is not the tests' concern.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        Done(child.wait_with_output().unwrap())
    }
}

/// What the command did.
pub(crate) struct Done(pub(crate) Output);

impl Done {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or_else(|| panic!("killed: {:?}", self.0))
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code(), 0, "{}", self.stderr());
        assert_eq!(self.stderr(), "");
        self
    }

    /// Failed with this code and one line that says all of this.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, says: &[&str]) -> Self {
        let line = self.stderr();
        assert_eq!(self.code(), code, "{line}");
        assert!(line.starts_with("error: ") && line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
        for word in says {
            assert!(line.contains(word), "{word:?} is not in {line:?}");
        }
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.0.stdout).unwrap()
    }
}

/// A photograph of `tests/data`.
pub(crate) fn photo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A component of `guests/built`.
pub(crate) fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/built").join(name)
}

/// A PNG, decoded by another's decoder.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) channels: usize,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn decode_png(file: &[u8]) -> Picture {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.bit_depth, png::BitDepth::Eight);
    Picture { width: info.width, height: info.height, channels: info.color_type.samples(), bytes }
}

/// A small PNG of one color, made by another's encoder.
pub(crate) fn encode_png(width: u32, height: u32, rgb: [u8; 3]) -> Vec<u8> {
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&rgb.repeat((width * height) as usize)).unwrap();
    writer.finish().unwrap();
    file
}
