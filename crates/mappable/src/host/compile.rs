//! From a component's bytes to one that the engine runs: rewriting, compiling, and what is told of it.

use std::borrow::Cow;
use std::io;

use mappable_rewrite::{Gate, Reason, Report, RewriteError, Rewritten, Settings, TierReport, rewrite_with};
use wasmtime::component::Component;

use super::gate::gate;
use super::runtime::Runtime;

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It is not a component, or maps in a way that can't be made sound, or is to be of the ledger tier and can't be: the
    /// error says what stands in the way.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// No key could be drawn for the functions that only compiled components may link to.
    #[error("no random number from the operating system")]
    Gate(#[source] io::Error),
    /// It is text, and not well-formed. Only with the feature `wat`.
    #[error("not a component in text: {0:#}")]
    Text(wasmtime::Error),
    /// Wasmtime refused it.
    #[error("not compiled: {0:#}")]
    Engine(wasmtime::Error),
}

impl Runtime {
    /// Compiles a component, in binary or (with the feature `wat`) text, with the refreshes that mapping needs, or for the ledger
    /// ([`RuntimeBuilder::tier`](crate::RuntimeBuilder::tier)). A component that maps nothing, and passes no lists from
    /// component to component, is compiled as it is, byte for byte but for the maxima of its memories and the preloads of its
    /// loops. [The first example](crate) does it.
    ///
    /// Where pages are mapped, a 32-bit memory of ordinary pages that nothing can be mapped into gets a maximum of 65,535
    /// pages, unless it has a lower one, and compiled code then takes its base for a constant. So such a memory can't have
    /// the last page of its address space, and a store's limiter is told of a maximum that is a page less.
    ///
    /// There too, loops on other memories get a preload in front of them where that pays: a byte is loaded, so that the base is
    /// loaded once for the loop. That burns three units of fuel more each time that such a loop is come to. Code of which a
    /// custom section names offsets (that of debuggers, say) is left as it is.
    ///
    /// One that maps nothing but passes lists of plain data from component to component is compiled so that they go by
    /// window, and then needs [`add_to_linker`](crate::add_to_linker), and a store whose data is a
    /// [`MappableView`](crate::MappableView), as those do that map. Without them it does not link: Wasmtime misses an
    /// import of the name `mappable:<key>/ledger@0.1.0`, which is in no component as written. [`Tier::Baseline`](crate::Tier::Baseline) leaves
    /// such a component as it is.
    ///
    /// What is compiled is not the binary as given, so some offsets differ. Core modules keep the indices of their functions
    /// and their name sections: names in backtraces and profiles are right. `FrameInfo::module_offset`, and the offsets that a
    /// backtrace prints, count from the beginning of what was compiled. `FrameInfo::func_offset`, and the offsets in a core
    /// dump, are the module's own, unless the function has a preload in front of the place. A module with DWARF has no
    /// preloads, and DWARF counts from the beginning of the code section, so its lines are right. A source map counts from the
    /// beginning of the module: behind a memory that gets a maximum it is a few bytes off.
    ///
    /// With a [`CompileCache`](crate::CompileCache) a component that is there is neither rewritten nor compiled, and no event
    /// tells of its tier.
    ///
    /// # Errors
    ///
    /// A component that is not valid, or that would change what is mapped in a way that can't be made sound; with
    /// [`Tier::Ledger`](crate::Tier::Ledger), one whose handles can't all be found.
    pub fn compile(&self, component: &[u8]) -> Result<Component, CompileError> {
        match &self.cache {
            Some(cache) => self.compile_cached(cache, &to_binary(component)?),
            None => self.compile_with_report(component).map(|(component, _)| component),
        }
    }

    /// Compiles a component as [`Runtime::compile`] does, and tells what was found in it: of which tier it is, and what
    /// keeps it from the ledger. Takes nothing from a cache.
    ///
    /// ```
    /// use mappable::rewrite::TierReport;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = mappable::Runtime::new()?;
    /// let (component, report) = runtime.compile_with_report(
    ///     br#"(component
    ///         (import "mappable:memory/types@0.1.0" (instance $types
    ///             (export "mappable" (type (sub resource)))))
    ///         (alias export $types "mappable" (type $mappable))
    ///         (core module $m (func (export "size") (param i32) (result i64) (i64.const 0)))
    ///         (core instance $i (instantiate $m))
    ///         (func (export "size") (param "region" (borrow $mappable)) (result u64)
    ///             (canon lift (core func $i "size"))))"#,
    /// )?;
    /// match &report.tier {
    ///     TierReport::Ledger { crossing, .. } => println!("for the ledger, but for {crossing} functions"),
    ///     TierReport::Baseline { obstacle: Some(obstacle) } => println!("not for the ledger: {obstacle}"),
    ///     TierReport::Baseline { obstacle: None } => println!("nothing for the ledger to do"),
    /// }
    /// // The engine lends by itself.
    /// assert!(matches!(report.tier, TierReport::Baseline { obstacle: None }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::compile`].
    pub fn compile_with_report(&self, component: &[u8]) -> Result<(Component, Report), CompileError> {
        let binary = to_binary(component)?;
        let rewritten = self.rewrite(&binary, &gate().map_err(CompileError::Gate)?.gate)?;
        let component = Component::from_binary(&self.engine, &rewritten.bytes).map_err(CompileError::Engine)?;
        Ok((component, rewritten.report))
    }

    /// Rewrites a component by this runtime's settings, and tells its tier.
    pub(super) fn rewrite<'a>(&self, binary: &'a [u8], gate: &Gate) -> Result<Rewritten<'a>, RewriteError> {
        let rewritten = rewrite_with(binary, gate, self.settings())?;
        note_tier(&rewritten.report);
        Ok(rewritten)
    }

    pub(super) fn settings(&self) -> Settings {
        let in_pages = self.backing.is_in_file();
        Settings { tier: self.tier, lists: in_pages, bound: in_pages, preload: in_pages }
    }
}

/// The binary form of a component that may be text.
#[cfg(feature = "wat")]
pub(super) fn to_binary(component: &[u8]) -> Result<Cow<'_, [u8]>, CompileError> {
    // For an empty input the parser of text would say that a field is missing.
    if component.starts_with(b"\0asm") || component.trim_ascii().is_empty() {
        return Ok(Cow::Borrowed(component));
    }
    wat::parse_bytes(component).map_err(|error| CompileError::Text(error.into()))
}

/// Without the feature `wat` text is refused as what is no component.
#[cfg(not(feature = "wat"))]
pub(super) fn to_binary(component: &[u8]) -> Result<Cow<'_, [u8]>, CompileError> {
    Ok(Cow::Borrowed(component))
}

/// A component that is not for the ledger runs all the same, only slower: who wants to know why looks here.
fn note_tier(report: &Report) {
    match &report.tier {
        TierReport::Baseline { obstacle: Some(obstacle) } if matches!(obstacle.reason, Reason::Broken(_)) => {
            tracing::warn!(%obstacle, "a component was compiled for the baseline tier");
        }
        TierReport::Baseline { obstacle: Some(obstacle) } if report.maps() => {
            tracing::info!(%obstacle, "a component with regions was compiled for the baseline tier");
        }
        TierReport::Baseline { obstacle: Some(obstacle) } => {
            tracing::debug!(%obstacle, "a component was compiled for the baseline tier");
        }
        _ => {}
    }
}
