//! Pictures in and out. A file is read straight into the region that the first stage is handed, and written whole or
//! not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::HumanBytes;
use mappable::{Mappable, Runtime};

use crate::failure::{Exit, fail};

/// Prints text for people or programs. That they have heard enough is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("stdout"),
        _ => Ok(()),
    }
}

/// Reads a component, in binary or text.
pub(crate) fn component(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|error| fail(Exit::Load, error))?;
    match bytes.is_empty() {
        true => Err(fail(Exit::Load, "the file is empty")),
        false => Ok(bytes),
    }
}

/// Whether a path stands for stdin or stdout.
pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// How a path is named in messages.
pub(crate) fn name(path: &Path, standard: &str) -> String {
    if is_standard(path) { standard.to_owned() } else { path.display().to_string() }
}

/// Reads a file of at most `limit` bytes into a new region. `-` is stdin.
pub(crate) fn read(runtime: &Runtime, path: &Path, limit: u64) -> Result<Mappable> {
    if is_standard(path) {
        return collect(runtime, io::stdin().lock(), 0, limit);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        bail!("it is a directory");
    }
    check(metadata.len(), limit)?;
    collect(runtime, file, metadata.len(), limit)
}

/// Reads to the end, whatever the length was said to be.
fn collect(runtime: &Runtime, from: impl Read, expected: u64, limit: u64) -> Result<Mappable> {
    let region = runtime.allocate_from_reader(from.take(limit.saturating_add(1)), expected)?;
    check(region.len(), limit)?;
    if region.is_empty() {
        bail!("there is nothing in it");
    }
    Ok(region)
}

fn check(bytes: u64, limit: u64) -> Result<()> {
    if bytes > limit {
        bail!("it has more bytes than a stage may have (--max-memory, {})", HumanBytes(limit));
    }
    Ok(())
}

/// Where a picture goes.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    /// A pipe, a device: written as it is.
    Special(PathBuf),
    /// Replaced in one step, in this folder.
    File {
        path: PathBuf,
        folder: PathBuf,
    },
}

impl Output {
    /// Looks whether there can be such a picture, before any work is done for it.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        Self::with_suffix(path, "png", "pictures are written as PNG: the name must end in .png")
    }

    /// The same of a chart.
    pub(crate) fn chart(path: &Path) -> Result<Self> {
        Self::with_suffix(path, "svg", "charts are written as SVG: the name must end in .svg")
    }

    /// The same of a component.
    pub(crate) fn component(path: &Path) -> Result<Self> {
        Self::with_suffix(path, "wasm", "components are written in binary: the name must end in .wasm")
    }

    fn with_suffix(path: &Path, suffix: &str, otherwise: &str) -> Result<Self> {
        if is_standard(path) {
            return Ok(Self::Stdout);
        }
        Self::of(path, suffix, otherwise).with_context(|| path.display().to_string())
    }

    fn of(path: &Path, wanted: &str, otherwise: &str) -> Result<Self> {
        let path = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => bail!("it is a directory"),
            Ok(metadata) if !metadata.is_file() => return Ok(Self::Special(path.to_owned())),
            // What a link leads to is replaced, not the link.
            Ok(_) => fs::canonicalize(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error.into()),
        };
        if !path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case(wanted)) {
            return Err(fail(Exit::Usage, otherwise));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        if !folder.is_dir() {
            bail!("there is no folder {}", folder.display());
        }
        Ok(Self::File { path, folder })
    }

    /// How it is named in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::Special(path) | Self::File { path, .. } => path.display().to_string(),
        }
    }

    /// Writes it whole, or leaves what was there.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.try_write(bytes).with_context(|| format!("{}: not written", self.name()))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::Special(path) => File::options().write(true).open(path)?.write_all(bytes),
            Self::File { path, folder } => {
                let mut builder = tempfile::Builder::new();
                builder.prefix(".mappable-").suffix(".tmp");
                #[cfg(unix)]
                builder.permissions(permissions(path));
                let mut file = builder.tempfile_in(folder)?;
                file.write_all(bytes)?;
                file.persist(path)?;
                Ok(())
            }
        }
    }
}

/// Those of the file that is replaced, or what a new file has, less the umask.
#[cfg(unix)]
fn permissions(path: &Path) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).map_or_else(|_| fs::Permissions::from_mode(0o666), |metadata| metadata.permissions())
}
