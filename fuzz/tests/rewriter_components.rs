//! Any valid component: what has no mark is given back byte for byte, and what has is all behind refreshes and else the
//! same. A second reader, that shares nothing with the rewriter, says so.

use arbitrary::{Arbitrary, Result, Unstructured};
use mappable_fuzz::closed::{self, Chosen};
use mappable_fuzz::grammar;
use mappable_fuzz::reading::Tree;
use mappable_fuzz::soundness::{Form, check};
use mappable_fuzz::trees::{self, Sort};
use mappable_rewrite::{ImportError, RewriteError};

/// A component of our grammar can always be rewritten.
fn ours(u: &mut Unstructured<'_>) -> Result<()> {
    let made = grammar::component(u)?;
    let rewritten = check(&made.bytes, Form::Canonical).unwrap_or_else(|error| panic!("{error}\n{}", made.text));
    assert_eq!(rewritten.report.lowers().count(), made.lowers, "{}", made.text);
    assert!(rewritten.changed());
    closed::check(&made.bytes);
    Ok(())
}

/// A component that nobody made for us has nothing to rewrite.
fn foreign(u: Unstructured<'_>) -> Result<()> {
    let bytes = wasm_smith::Component::arbitrary_take_rest(u)?.to_bytes();
    // Not all that wasm-smith makes is valid.
    if Tree::read(&bytes).is_ok() {
        closed::check(&bytes);
        match check(&bytes, Form::Canonical) {
            Ok(rewritten) => assert!(!rewritten.changed()),
            Err(error) => assert!(matches!(error, RewriteError::Import(ImportError::Component { .. })), "{error}"),
        }
    }
    Ok(())
}

/// A tree is rewritten for the ledger if that has something to do for it.
fn tree(u: &mut Unstructured<'_>) -> Result<Chosen> {
    let sort = *u.choose(&[Sort::Plain, Sort::Closed, Sort::Open])?;
    let tree = trees::tree(u, sort)?;
    let chosen = closed::check(&tree.bytes);
    assert!(chosen == Chosen::Ledger || sort == Sort::Plain, "{chosen:?}\n{}", tree.text);
    Ok(chosen)
}

#[test]
fn rewriter_components() {
    mappable_fuzz::check!(2048, |bytes| {
        let mut u = Unstructured::new(bytes);
        let _ = match u.int_in_range(0..=3) {
            Ok(0) => foreign(u),
            Ok(1) => tree(&mut u).map(drop),
            _ => ours(&mut u),
        };
    });
}

/// The grammar has what it is for: lowers in plenty, nested, of each kind.
#[test]
fn components_of_the_grammar_have_many_shapes() {
    let (mut lowers, mut most) = (0, 0);
    let shapes = ["$implementation", "$shim", "$bundle", "$pass", "alias outer 1 $libc", "dtor", "\"raw\"", "\"m1\""];
    let shapes = shapes.into_iter().chain(["PLACEMENT", "$child", "$main1", "string-encoding=utf16"]);
    let mut seen: Vec<_> = shapes.map(|shape| (shape, 0)).collect();
    for seed in 0..100 {
        let made = grammar::component(&mut Unstructured::new(&mappable_fuzz::noise(seed, 1000))).unwrap();
        lowers += made.lowers;
        most = most.max(made.lowers);
        for (shape, count) in &mut seen {
            *count += usize::from(made.text.contains(*shape));
        }
    }
    assert!(lowers > 300 && most > 8, "{lowers} lowers, {most} at most");
    assert!(seen.iter().all(|(_, count)| *count > 4), "{seen:?}");
}

/// The grammar's interface is not quite our package, so some of what it makes is for the baseline.
#[test]
fn components_of_the_grammar_are_for_either_tier_and_trees_for_the_ledger() {
    let (mut components, mut trees) = (vec![], vec![]);
    for seed in 0..60 {
        let bytes = mappable_fuzz::noise(seed, 1500);
        let made = grammar::component(&mut Unstructured::new(&bytes)).unwrap();
        components.push(closed::check(&made.bytes));
        trees.push(tree(&mut Unstructured::new(&bytes)).unwrap());
    }
    let count = |all: &[Chosen], chosen| all.iter().filter(|it| **it == chosen).count();
    assert!(count(&components, Chosen::Baseline) > 15 && count(&components, Chosen::Ledger) > 15, "{components:?}");
    assert!(count(&trees, Chosen::Ledger) > 40, "{trees:?}");
}
