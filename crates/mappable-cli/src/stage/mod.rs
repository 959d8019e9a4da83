//! Components as the steps of a pipeline.
//!
//! ```text
//!   Spec             what the command line says: `blur:5`, `./mine.wasm`
//!    └ Bytes         where the component is: built in, in a file, or composed (`fused`)
//!   Host             loads it, each into a store (a sandbox) of its own: `mapped` with regions, `copying` with lists
//!    └ Step          is called with a picture and gives a picture; by several instances at once, where it can be (`parallel`)
//! ```
//!
//! A stage is not trusted: its picture's header is checked (`format`), and its memories are bounded ([`limiter`](crate::limiter)).
//! [`pipeline`](crate::pipeline) runs stages in order and times them.

mod builtin;
mod copying;
mod format;
mod fused;
mod mapped;
mod parallel;
mod wasi;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use wasmtime::component::{Component, ComponentExportIndex};

pub(crate) use builtin::{BUILTINS, IDLE};
pub(crate) use copying::StockHost;
pub(crate) use format::{Header, Pixels};
pub(crate) use fused::{Regions, compose, exports_step, fuse, with_regions_inside};
pub(crate) use mapped::MappedHost;
pub(crate) use parallel::PARALLEL;

use self::builtin::Builtin;
use crate::application::advice;
use crate::failure::{Exit, fail, one_line};
use crate::files;

/// Where a stage's component is.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Builtin(&'static Builtin),
    File(PathBuf),
    /// Of world `stage`, put together here.
    Composed(Arc<[u8]>),
}

impl Bytes {
    fn regions(&self) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Builtin(builtin) => Ok(Cow::Borrowed(builtin.regions)),
            Self::File(path) => files::component(path).map(Cow::Owned),
            Self::Composed(bytes) => Ok(Cow::Owned(bytes.to_vec())),
        }
    }

    fn copying(&self) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Builtin(builtin) => Ok(Cow::Borrowed(builtin.copying)),
            Self::File(_) | Self::Composed(_) => self.regions(),
        }
    }
}

/// A stage and its arguments, as given.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// The built-in name, or the path.
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    pub(crate) args: Vec<String>,
}

impl Spec {
    /// Reads `NAME[:ARG,…]` or `PATH[:ARG,…]`. A path ends in `.wasm` or `.wat`, or has a `/` in it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (name, args) = text.split_once(':').unwrap_or((text, ""));
        if let Some(builtin) = BUILTINS.iter().find(|builtin| builtin.name == name) {
            return Ok(Self::new(name, Bytes::Builtin(builtin), args));
        }
        let after = |suffix: &str| text.find(&format!("{suffix}:")).map(|at| at + suffix.len());
        let (path, args) = match after(".wasm").or_else(|| after(".wat")) {
            Some(end) => (&text[..end], &text[end + 1..]),
            None if text.contains('/') || text.ends_with(".wasm") || text.ends_with(".wat") => (text, ""),
            None => {
                let names: Vec<_> = BUILTINS.iter().map(|builtin| builtin.name).collect();
                let names = names.join(", ");
                let message = format!("there is no such stage; there are {names}, and paths of components");
                return Err(fail(Exit::Usage, message)).context(format!("stage {}", one_line(name)));
            }
        };
        Ok(Self::new(path, Bytes::File(PathBuf::from(path)), args))
    }

    pub(crate) fn builtin(name: &str, args: &str) -> Result<Self> {
        Self::parse(&format!("{name}:{args}"))
    }

    fn new(name: &str, bytes: Bytes, args: &str) -> Self {
        let args = if args.is_empty() { vec![] } else { args.split(',').map(str::to_owned).collect() };
        Self { name: name.to_owned(), bytes, args }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.args.is_empty() {
            write!(f, ":{}", self.args.join(","))?;
        }
        Ok(())
    }
}

/// What a picture's bytes are in.
pub(crate) trait Payload {
    /// How many bytes there are.
    fn available(&self) -> u64;
    /// Forgets what is beyond the picture, where that would be copied along.
    fn trim(&mut self, size: u64);
}

/// A stage in its sandbox.
pub(crate) trait Step {
    type Payload: Payload;

    /// Hands a picture over, and takes what it gives. What the header says is not checked yet.
    fn call(&mut self, payload: Self::Payload, header: Header, args: &[String]) -> Result<(Self::Payload, Header)>;

    /// Whether several instances worked on the last picture.
    fn was_shared_out(&self) -> bool {
        false
    }
}

/// Makes sandboxes for stages of one world.
pub(crate) trait Host: Sync {
    type Step: Step;

    /// Whether handing a picture over copies it.
    const COPIES: bool;

    fn bytes(&self, bytes: &Bytes) -> Result<Cow<'static, [u8]>>;
    fn compile(&self, bytes: &[u8]) -> Result<Component>;
    /// `title` is how messages name it.
    fn instantiate(&self, component: &Component, title: &str) -> Result<Self::Step>;
    /// So many bytes that don't matter.
    fn blank(&self, size: u64) -> Result<<Self::Step as Step>::Payload>;
}

/// A stage that is ready, and what it is.
pub(crate) struct Stage<S> {
    pub(crate) spec: Spec,
    /// How messages name it.
    pub(crate) title: String,
    pub(crate) step: S,
}

/// Compiles what is used, each component once and at the same time, and puts each stage into a sandbox of its own.
pub(crate) fn load<H: Host>(host: &H, specs: &[Spec]) -> Result<Vec<Stage<H::Step>>> {
    let distinct: HashMap<&str, &Spec> = specs.iter().map(|spec| (spec.name.as_str(), spec)).collect();
    let compile = |spec: &Spec| -> Result<Component> { host.compile(&host.bytes(&spec.bytes)?) };
    let mut components: HashMap<&str, Result<Component>> = thread::scope(|scope| {
        let jobs: Vec<_> = distinct.iter().map(|(name, spec)| (*name, scope.spawn(|| compile(spec)))).collect();
        let bug = |_| Err(fail(Exit::Load, "a bug in mappable: the compiler panicked"));
        jobs.into_iter().map(|(name, job)| (name, job.join().unwrap_or_else(bug))).collect()
    });
    let mut stages = Vec::with_capacity(specs.len());
    for (at, spec) in specs.iter().enumerate() {
        let repeated = specs.iter().filter(|other| other.name == spec.name).count() > 1;
        let title = match repeated {
            true => format!("stage {} (number {})", spec.name, at + 1),
            false => format!("stage {}", spec.name),
        };
        let component = match components.get(spec.name.as_str()) {
            Some(Ok(component)) => component.clone(),
            // The first that asks for it gets the error, and is the last to ask.
            _ => components.remove(spec.name.as_str()).context("not compiled")?.context(title.clone())?,
        };
        let step = host.instantiate(&component, &title).with_context(|| title.clone())?;
        stages.push(Stage { spec: spec.clone(), title, step });
    }
    Ok(stages)
}

/// The function `run` of the interface that a stage exports, or what is missing.
fn step_of(component: &Component, interface: &str) -> Result<ComponentExportIndex> {
    let missing = |what: String| fail(Exit::Load, format!("not a stage: {what}"));
    let step = component.get_export_index(None, interface).ok_or_else(|| {
        let engine = component.engine();
        let ty = component.component_type();
        let exports: Vec<_> = ty.exports(engine).map(|(name, _)| format!("`{name}`")).collect();
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        missing(format!("it does not export `{interface}`, but {exports}{}", advice(component)))
    })?;
    let run = component.get_export_index(Some(&step), "run");
    run.ok_or_else(|| missing(format!("its `{interface}` has no function `run`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_names_or_paths_with_arguments() {
        let spec = Spec::parse("blur:5").unwrap();
        assert!(matches!(spec.bytes, Bytes::Builtin(_)));
        assert_eq!((spec.name.as_str(), spec.args.as_slice()), ("blur", &["5".to_owned()][..]));
        assert!(Spec::parse("blur:").unwrap().args.is_empty());
        let spec = Spec::parse("/a:b/mine.wasm:x,y").unwrap();
        assert_eq!((spec.name.as_str(), spec.args.len()), ("/a:b/mine.wasm", 2));
        assert_eq!(spec.to_string(), "/a:b/mine.wasm:x,y");
        assert!(matches!(Spec::parse("mine.wat").unwrap().bytes, Bytes::File(_)));
        assert!(Spec::parse("blurr:5").is_err());
        assert!(Spec::parse("").is_err());
    }
}
