//! Handles of the engine's that are dropped for their regions to be the ledger's.

use super::*;

/// How many regions there are after the engine has dropped these handles, of which the first is said to enter as `kind`; and how
/// many drops trap.
fn left(kind: Kind, dropped: &[Kind]) -> (usize, usize) {
    let mut world = World::new(MappingMode::Auto, "16");
    world.call(A, "allocate", &[1]);
    let context = &mut world.store.data_mut().mappable;
    let reps: Vec<u32> = dropped
        .iter()
        .map(|kind| {
            let region = context.allocate_from(&[1]).unwrap();
            match kind {
                Kind::Mappable => context.insert(region).unwrap().rep(),
                _ => context.insert_frozen(region.freeze().unwrap()).unwrap().rep(),
            }
        })
        .collect();
    context.store_ledger.as_ref().unwrap().ledger.set_entering(kind);
    let refused = reps.into_iter().filter(|rep| context.drop_of_engine(*rep).is_err()).count();
    (context.held().0 - 1, refused)
}

#[test]
fn what_enters_the_ledger_is_not_freed() {
    assert_eq!(left(Kind::Mappable, &[Kind::Mappable]), (1, 0));
    assert_eq!(left(Kind::Frozen, &[Kind::Frozen]), (1, 0));
}

#[test]
fn what_a_trap_left_behind_is_heard_once() {
    assert_eq!(left(Kind::Mappable, &[Kind::Mappable, Kind::Mappable, Kind::Frozen]), (1, 0));
    assert_eq!(left(Kind::Mappable, &[Kind::Frozen, Kind::Frozen, Kind::Mappable]), (1, 1));
}
