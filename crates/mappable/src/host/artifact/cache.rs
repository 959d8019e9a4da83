//! A folder of artifacts: found by what they are of and for, bounded, shared by processes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What file names end with.
const EXTENSION: &str = "artifact";

/// What the names of files begin with that are being written.
const UNFINISHED: &str = ".unfinished-";

/// How old a file is that a process which has ended left unfinished.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

/// A folder in which compiled components are kept ([`RuntimeBuilder::compile_cache`](crate::RuntimeBuilder::compile_cache)).
///
/// A component is found by its bytes, the version of this crate and of the rewriter's sources, that of Wasmtime, and all
/// settings that code depends on. So programs of any kind can share a folder, at the same time too. A file is written under
/// another name and moved to its own when it is whole; one that is damaged is compiled anew. When all together are larger
/// than the bound, those that were not used for the longest time are removed.
///
/// The files hold machine code, which is trusted as the program itself is: the folder must be nobody else's. The first call
/// makes it, for its owner alone.
///
/// Cheap to clone; clones are of the same folder.
#[derive(Clone, Debug)]
pub struct CompileCache {
    folder: Arc<Path>,
    max_bytes: u64,
}

/// A file that is in the cache.
struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl CompileCache {
    /// The cache in this folder, which is made if it is not there. Its files have at most `max_bytes` together, or are one
    /// that has more. [`RuntimeBuilder::compile_cache`](crate::RuntimeBuilder::compile_cache) has an example.
    ///
    /// # Errors
    ///
    /// The operating system's. [`io::ErrorKind::PermissionDenied`] if the folder is another user's, or others may write to
    /// it. Only on Unix is that looked at; elsewhere it is for the caller to see to.
    pub fn new(folder: impl AsRef<Path>, max_bytes: u64) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        let folder = folder.as_ref().canonicalize()?;
        #[cfg(unix)]
        is_ours_alone(&folder)?;
        Ok(Self { folder: folder.into(), max_bytes })
    }

    /// The name of what is compiled from this component, where these facts hold.
    pub(super) fn name(facts: &str, component: &[u8]) -> String {
        let mut name = blake3::Hasher::new();
        name.update(blake3::hash(facts.as_bytes()).as_bytes());
        name.update(component);
        name.finalize().to_hex().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension(EXTENSION)
    }

    /// What is kept under this name. That it was wanted keeps it longer.
    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let bytes = fs::read(&path).ok()?;
        // In a folder that may only be read, it is as old as it is.
        _ = File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    /// Keeps this under this name, and removes what there is no room for.
    pub(super) fn put(&self, name: &str, artifact: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)?;
        file.write_all(artifact)?;
        let path = self.path(name);
        file.persist(&path)?;
        self.shrink(&path)
    }

    /// Removes what was used longest ago, until the rest fits. The newest stays, however large it is.
    fn shrink(&self, newest: &Path) -> io::Result<()> {
        let mut entries = self.entries()?;
        entries.sort_unstable_by_key(|entry| (entry.path != newest, std::cmp::Reverse(entry.used)));
        let mut kept = 0_u64;
        for entry in &entries {
            kept = kept.saturating_add(entry.bytes);
            if kept > self.max_bytes && entry.path != newest {
                // Another process may have.
                _ = fs::remove_file(&entry.path);
            }
        }
        Ok(())
    }

    /// What is there; removes what others left unfinished.
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            let path = file.path();
            // One that is gone by now was removed by another process.
            let Ok(metadata) = file.metadata() else { continue };
            let used = metadata.modified()?;
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                entries.push(Entry { path, bytes: metadata.len(), used });
            } else if file.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes())
                && used.elapsed().is_ok_and(|age| age > LEFT_BEHIND)
            {
                _ = fs::remove_file(&path);
            }
        }
        Ok(entries)
    }
}

/// Whether this user owns a folder, and no other may write to it.
#[cfg(unix)]
fn is_ours_alone(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let denied = |text: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    let metadata = fs::metadata(folder)?;
    if metadata.mode() & 0o022 != 0 {
        return denied(format!("{} can't hold compiled code: others may write to it", folder.display()));
    }
    // A file has the user's number that makes it.
    let owner = match tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder) {
        Ok(file) => file.as_file().metadata()?.uid(),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(()),
        Err(error) => return Err(error),
    };
    if owner != metadata.uid() {
        return denied(format!("{} can't hold compiled code: it is another user's", folder.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(max_bytes: u64) -> (tempfile::TempDir, CompileCache) {
        let scratch = tempfile::tempdir().unwrap();
        let cache = CompileCache::new(scratch.path().join("cache"), max_bytes).unwrap();
        (scratch, cache)
    }

    /// Files get the times of an hour ago and later: a clock may not tell two writes apart.
    fn used_at(cache: &CompileCache, name: &str, minute: u64) {
        let file = File::options().append(true).open(cache.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60 * (60 - minute))).unwrap();
    }

    #[test]
    fn what_was_put_is_found_by_its_name_alone() {
        let (_scratch, cache) = cache(1000);
        cache.put("a", b"1").unwrap();
        cache.put("a", b"2").unwrap();
        assert_eq!(cache.get("a").as_deref(), Some(&b"2"[..]));
        assert_eq!(cache.get("b"), None);
    }

    #[test]
    fn names_differ_by_facts_and_by_component() {
        let name = CompileCache::name("facts", b"component");
        for (facts, component) in [("fact", &b"scomponent"[..]), ("facts ", b"component"), ("facts", b"component ")] {
            assert_ne!(CompileCache::name(facts, component), name);
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let (_scratch, cache) = cache(250);
        for (minute, name) in ["a", "b"].into_iter().enumerate() {
            cache.put(name, &[0; 100]).unwrap();
            used_at(&cache, name, minute as u64);
        }
        assert!(cache.get("a").is_some());
        cache.put("c", &[0; 100]).unwrap();
        assert_eq!(["a", "b", "c"].map(|name| cache.get(name).is_some()), [true, false, true]);
        // More than the bound alone.
        cache.put("d", &[0; 300]).unwrap();
        assert_eq!(cache.entries().unwrap().len(), 1);
        assert!(cache.get("d").is_some());
    }

    #[test]
    fn what_a_crash_left_is_not_found_and_removed_later() {
        let (_scratch, cache) = cache(1000);
        let left = cache.folder.join(format!("{UNFINISHED}1"));
        fs::write(&left, b"half").unwrap();
        cache.put("a", b"1").unwrap();
        assert!(left.exists(), "another process may be writing it");
        let file = File::options().append(true).open(&left).unwrap();
        file.set_modified(SystemTime::now() - 2 * LEFT_BEHIND).unwrap();
        cache.put("b", b"1").unwrap();
        assert!(!left.exists());
        assert_eq!(cache.entries().unwrap().len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let scratch = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o707, 0o777] {
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = CompileCache::new(scratch.path(), 1).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{mode:o}");
        }
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        CompileCache::new(scratch.path(), 1).unwrap();
    }
}
