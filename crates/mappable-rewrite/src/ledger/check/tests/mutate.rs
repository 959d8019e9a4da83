//! Every index of an output, exchanged for another one, one at a time.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{Component, ComponentSectionId, CustomSection, RawSection};
use wasmparser::CustomSectionReader;

use super::*;

/// An index in a component, in whatever section but those that hold core modules or are custom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// Of which index space.
    pub(crate) space: &'static str,
    /// The index.
    pub(crate) value: u32,
}

/// All indices in `component` and those nested in it, in the order in which they are written.
pub(crate) fn indices(component: &[u8]) -> Vec<Index> {
    let mut mutator = Mutator { found: Vec::new(), mutation: None };
    mutator.write(component);
    mutator.found
}

/// `component` with its index number `at` exchanged for `to`.
pub(crate) fn mutated(component: &[u8], at: usize, to: u32) -> Vec<u8> {
    Mutator { found: Vec::new(), mutation: Some((at, to)) }.write(component)
}

struct Mutator {
    found: Vec<Index>,
    mutation: Option<(usize, u32)>,
}

impl Mutator {
    fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut component = Component::new();
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        self.parse_component(&mut component, parser, bytes).unwrap();
        component.finish()
    }

    fn index(&mut self, space: &'static str, value: u32) -> u32 {
        let at = self.found.len();
        self.found.push(Index { space, value });
        match self.mutation {
            Some((mutated, to)) if mutated == at => to,
            _ => value,
        }
    }
}

macro_rules! mutate {
    ($($hook:ident),*) => {
        $(fn $hook(&mut self, index: u32) -> u32 {
            self.index(stringify!($hook), index)
        })*
    };
    (fallible $($hook:ident),*) => {
        $(fn $hook(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
            Ok(self.index(stringify!($hook), index))
        })*
    };
}

impl Reencode for Mutator {
    type Error = Infallible;

    mutate!(fallible function_index, global_index, memory_index, table_index, tag_index, type_index);
}

impl ReencodeComponent for Mutator {
    mutate!(component_type_index, component_instance_index, component_func_index, component_index, module_index);
    mutate!(instance_index, component_value_index);

    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _: Parser,
        module: &[u8],
    ) -> Result<(), Error<Infallible>> {
        component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: module });
        Ok(())
    }

    fn parse_component_custom_section(
        &mut self,
        component: &mut Component,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        component.section(&CustomSection { name: section.name().into(), data: section.data().into() });
        Ok(())
    }
}

/// What becomes of the mutations of an output.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many are not valid.
    pub(crate) invalid: usize,
    /// How many are valid, and found.
    pub(crate) found: usize,
    /// Those that pass: which index, and what it was exchanged for.
    pub(crate) passed: Vec<(Index, u32)>,
}

/// Exchanges each index of `output` for every other one of its space, one at a time (or only one in `step` of these),
/// and asks for the verdict.
pub(crate) fn outcome(output: &[u8], step: usize, verdict: impl Fn(&[u8]) -> Result<(), RewriteError>) -> Outcome {
    let all = indices(output);
    let mut beyond = HashMap::new();
    for index in &all {
        let beyond = beyond.entry(index.space).or_insert(0);
        *beyond = index.value.saturating_add(1).max(*beyond);
    }
    let mutations =
        all.iter().enumerate().flat_map(|(at, index)| (0..=beyond[index.space]).map(move |to| (at, index, to)));
    let mut outcome = Outcome::default();
    for (at, index, to) in mutations.filter(|(_, index, to)| *to != index.value).step_by(step) {
        match verdict(&mutated(output, at, to)) {
            Err(RewriteError::Read(ReadError::Invalid(_))) => outcome.invalid += 1,
            Err(RewriteError::Bug(Bug::Unsound { .. })) => outcome.found += 1,
            Err(other) => panic!("{other:?} for {index:?} to {to}"),
            Ok(()) => outcome.passed.push((*index, to)),
        }
    }
    outcome
}

/// The output without what only matters for the text format's encoder: as a mutation that changes nothing.
fn plain() -> Vec<u8> {
    mutated(&wat::parse_str(sound()).unwrap(), usize::MAX, 0)
}

#[test]
fn each_index_exchanged_is_not_valid_or_found_or_harmless() {
    let sound = plain();
    verdict(&sound).unwrap();
    let outcome = outcome(&sound, 1, verdict);
    assert!(outcome.found > 150 && outcome.invalid > 1500, "{outcome:?}");
    let harmless = |index: &Index| match index.space {
        // The validator compares types wherever they meet, and the engine at the root: it is another name of the same
        // type. Were it the package's resource that is named now, it would be found.
        "component_type_index" => true,
        _ => false,
    };
    let rest: Vec<_> = outcome.passed.iter().filter(|(index, _)| !harmless(index)).collect();
    let expected = [
        // Another alias of the same global, in each of the two.
        ("global_index", 2, 1),
        ("global_index", 2, 1),
        // The may-leave check in front of `plain` lifted instead of the guest's `run`: neither has to do with us.
        ("function_index", 13, 12),
        // `plain` exported as `run`, by one of the components and by the root: likewise.
        ("component_func_index", 6, 5),
        ("component_func_index", 2, 1),
    ];
    let rest: Vec<_> = rest.iter().map(|(index, to)| (index.space, index.value, *to)).collect();
    assert_eq!(rest, expected);
}
