//! Compiled code that is kept: components compiled now for a later process, and a cache of them.
//!
//! ```text
//!   CompileCache            a folder of artifacts, bounded, that processes share
//!    └ Runtime::precompile, Runtime::deserialize, ...
//!       └ Artifact          the bytes: what the code was made by and for, and the code
//! ```
//!
//! The functions that map are offered under a name that is drawn for each process, so that nothing links to them that was not
//! rewritten ([`gate`](super::gate)). Code that is kept has a *stand-in* for that name, and loading puts the process's
//! in its place. So no file holds a secret, and an artifact that the engine loads without us links to nothing.
//!
//! # Safety
//!
//! [`Component::deserialize`] runs whatever code it is given. It is given what [`Engine::precompile_component`] made, in
//! another process perhaps. That the bytes are those is
//! - what the caller of [`Runtime::deserialize`] promises,
//! - what a tag with the embedder's key shows ([`Runtime::deserialize_with_key`]), or
//! - what a folder that nobody else may write to is good for ([`CompileCache`]).
//!
//! [`Engine::precompile_component`]: wasmtime::Engine::precompile_component

#![allow(unsafe_code)]

mod cache;
mod format;

use std::hash::{Hash, Hasher};
use std::io;

pub use cache::CompileCache;
use format::{Artifact, Unreadable};
use mappable_rewrite::Settings;
use mappable_rewrite::internals::REVISION;
use wasmtime::component::Component;

use super::compile::{CompileError, to_binary};
use super::gate::{Digits, gate, stand_in};
use super::runtime::Runtime;

/// The key of artifacts whose reader trusts whoever wrote them. It is no secret: their tag tells only that they are whole.
const NO_SECRET: ArtifactKey = ArtifactKey(*b"mappable: an artifact is whole. ");

/// A secret of the embedder's, by which it knows the artifacts that it made.
///
/// Whoever has it can make artifacts that [`Runtime::deserialize_with_key`] runs. Keep it where components can't be
/// compiled by others, and draw it at random: 32 bytes of the operating system's, say.
#[derive(Clone)]
pub struct ArtifactKey([u8; 32]);

impl ArtifactKey {
    /// The key of these bytes. [`Runtime::precompile_with_key`] has an example.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for ArtifactKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArtifactKey").finish_non_exhaustive()
    }
}

/// Why an artifact was not loaded. None of its code has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeserializeError {
    /// It does not begin as one.
    #[error("not an artifact of Runtime::precompile")]
    NotAnArtifact,
    /// It is cut off or was changed, or its key is another one.
    #[error("the artifact is damaged, or was made with another key")]
    Damaged,
    /// It was made by another version of this crate or of Wasmtime, or for other settings or another platform.
    #[error(
        "the artifact is for another runtime: it was made with `{made_with}`, and here is `{here}`; compile the component again"
    )]
    Foreign {
        /// The first fact of the artifact's that does not hold here.
        made_with: String,
        /// What holds in its place.
        here: String,
    },
    /// No key could be drawn for the functions that only compiled components may link to.
    #[error("no random number from the operating system")]
    Gate(#[source] io::Error),
    /// Wasmtime refused the code.
    #[error("not loaded: {0:#}")]
    Engine(wasmtime::Error),
}

impl From<Unreadable> for DeserializeError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NotAnArtifact => Self::NotAnArtifact,
            Unreadable::Damaged => Self::Damaged,
        }
    }
}

impl Runtime {
    /// Compiles a component for later: for [`Runtime::deserialize`], in this process or another, where a runtime has the
    /// same settings. [`Runtime::precompile_with_key`] makes artifacts that need no `unsafe` to load.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let artifact = runtime.precompile(b"(component)")?;
    /// // SAFETY: `precompile` has just made it.
    /// let component = unsafe { runtime.deserialize(&artifact)? };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::compile`].
    pub fn precompile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        self.precompile_with_key(component, &NO_SECRET)
    }

    /// Compiles a component for [`Runtime::deserialize_with_key`], as [`Runtime::precompile`] does for
    /// [`Runtime::deserialize`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::{ArtifactKey, Runtime};
    ///
    /// // At the factory.
    /// let key = ArtifactKey::from_bytes(*b"32 random bytes that few know of");
    /// let artifact = Runtime::new()?.precompile_with_key(b"(component)", &key)?;
    ///
    /// // In the field, within a millisecond or so: nothing is compiled.
    /// let component = Runtime::new()?.deserialize_with_key(&artifact, &key)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::compile`].
    pub fn precompile_with_key(&self, component: &[u8], key: &ArtifactKey) -> Result<Vec<u8>, CompileError> {
        Ok(self.artifact(self.facts(), &to_binary(component)?)?.to_bytes(&key.0))
    }

    /// Loads what [`Runtime::precompile`] made. Nothing is rewritten or compiled: that takes about a millisecond for each
    /// megabyte.
    ///
    /// # Errors
    ///
    /// [`DeserializeError`]. An artifact that was cut off or changed by accident, or made by other versions or for other
    /// settings, is refused before any of its code is looked at.
    ///
    /// # Safety
    ///
    /// The bytes are those that [`Runtime::precompile`] returned, of whatever process: they hold machine code, and whoever can
    /// write them can make the process do anything. Accidents are found, malice is not. [`Runtime::deserialize_with_key`]
    /// asks for no promise.
    pub unsafe fn deserialize(&self, artifact: &[u8]) -> Result<Component, DeserializeError> {
        // SAFETY: The caller promises it.
        unsafe { self.load(artifact, &NO_SECRET, &self.facts()) }
    }

    /// Loads what [`Runtime::precompile_with_key`] made with the same key, and nothing else.
    ///
    /// # Errors
    ///
    /// As [`Runtime::deserialize`]; [`DeserializeError::Damaged`] for what anybody made who does not have the key.
    pub fn deserialize_with_key(&self, artifact: &[u8], key: &ArtifactKey) -> Result<Component, DeserializeError> {
        // SAFETY: Only who has the embedder's key can make a tag that fits; that nobody else has it is what the key is.
        unsafe { self.load(artifact, key, &self.facts()) }
    }

    /// What [`Runtime::compile`] gives, from the cache where it is there. It is put there where not.
    pub(super) fn compile_cached(&self, cache: &CompileCache, binary: &[u8]) -> Result<Component, CompileError> {
        let facts = self.facts();
        let name = CompileCache::name(&facts, binary);
        if let Some(artifact) = cache.get(&name) {
            // SAFETY: Nobody but this user writes to the folder (`CompileCache::new`), and this user's processes put nothing
            // but artifacts of `Runtime::artifact` there, under names of their own.
            match unsafe { self.load(&artifact, &NO_SECRET, &facts) } {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(%error, name, "what is in the cache of compiled components is not used"),
            }
        }
        let artifact = self.artifact(facts, binary)?;
        if let Err(error) = cache.put(&name, &artifact.to_bytes(&NO_SECRET.0)) {
            tracing::warn!(%error, "a compiled component is not cached");
        }
        let digits = gate().map_err(CompileError::Gate)?.digits();
        // SAFETY: `Runtime::artifact` has just made it.
        unsafe { self.open(&artifact, digits) }.map_err(CompileError::Engine)
    }

    /// Rewrites and compiles a component, behind a stand-in for the process's gate.
    fn artifact(&self, facts: String, binary: &[u8]) -> Result<Artifact<'static>, CompileError> {
        let stand_in = stand_in(binary).map_err(|error| CompileError::Gate(io::Error::other(error)))?;
        let rewritten = self.rewrite(binary, &stand_in.gate)?;
        let code = self.engine.precompile_component(&rewritten.bytes).map_err(CompileError::Engine)?;
        Ok(Artifact::new(facts, stand_in.digits(), code))
    }

    /// The component of an artifact with this key, if it is for this runtime, of which these are the facts.
    ///
    /// # Safety
    ///
    /// If the key fits, [`Runtime::precompile_with_key`] made the bytes.
    unsafe fn load(&self, artifact: &[u8], key: &ArtifactKey, facts: &str) -> Result<Component, DeserializeError> {
        let artifact = Artifact::from_bytes(artifact, &key.0)?;
        let mut pairs = artifact.facts.lines().zip(facts.lines());
        if let Some((made_with, here)) = pairs.find(|(made_with, here)| made_with != here) {
            return Err(DeserializeError::Foreign { made_with: made_with.to_owned(), here: here.to_owned() });
        }
        if artifact.facts != facts {
            return Err(DeserializeError::Damaged);
        }
        let digits = gate().map_err(DeserializeError::Gate)?.digits();
        // SAFETY: By this function's own condition, `Runtime::artifact` made it.
        unsafe { self.open(&artifact, digits) }.map_err(DeserializeError::Engine)
    }

    /// The component of an artifact, behind the gate of these digits.
    ///
    /// # Safety
    ///
    /// [`Runtime::artifact`] made it.
    unsafe fn open(&self, artifact: &Artifact<'_>, digits: &Digits) -> wasmtime::Result<Component> {
        let code = artifact.code_behind(digits);
        // SAFETY: `Engine::precompile_component` made the code. The digits are within names of imports, which are data to the
        // engine: others in their place are what it would have made of a component with those names.
        unsafe { Component::deserialize(&self.engine, code) }
    }

    /// What compiled code depends on, a line each. Where all are the same, the code serves.
    fn facts(&self) -> String {
        let Settings { tier, lists, bound, preload } = self.settings();
        let mut engine = Digest(blake3::Hasher::new());
        self.engine.precompile_compatibility_hash().hash(&mut engine);
        let engine = engine.0.finalize().to_hex();
        let version = env!("CARGO_PKG_VERSION");
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        format!(
            "mappable {version}, rewriter {REVISION}\n\
             tier {tier:?}, lists by window: {lists}, memories bounded: {bound}, bases preloaded: {preload}\n\
             Wasmtime with settings {engine}, for {arch} and {os}\n"
        )
    }
}

/// A hash of the engine's settings that is the same in each process, which the standard library does not promise of its own.
struct Digest(blake3::Hasher);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finalize().as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}
