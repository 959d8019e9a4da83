//! The index maps against a model that lays the new index spaces out item by item.

use proptest::prelude::*;

use super::*;
use crate::error::Unguarded;
use crate::tree::types::MemoryType;

/// A component's canonical functions and core instances, in order, as far as a plan cares.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// A canonical function that is a lift.
    Lift,
    /// A core function that is no marked lower.
    Func,
    /// A core function that is no canonical function.
    Alias,
    /// A marked lower, guarded already or not.
    Lower { guarded: bool },
    /// A core instance.
    Instance,
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        Just(Item::Lift),
        Just(Item::Func),
        Just(Item::Alias),
        any::<bool>().prop_map(|guarded| Item::Lower { guarded }),
        Just(Item::Instance),
    ];
    prop::collection::vec(item, 0..40)
}

/// What stands at an index of a new index space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum New {
    /// The item with this old index.
    Old(u32),
    /// What the refresh of the lower with this old index adds.
    Argument(u32),
    Refresh(u32),
    Refreshed(u32),
}

/// The plan for `items`, and the new index spaces of core functions and core instances.
fn lay_out(items: &[Item]) -> (ComponentPlan, Vec<u32>, Vec<New>, Vec<New>) {
    let (mut lowers, mut found, mut canons) = (Vec::new(), Vec::new(), Vec::new());
    let (mut funcs, mut instances) = (Vec::new(), Vec::new());
    let (mut canon, mut func, mut instance) = (0, 0, 0);
    for item in items {
        if let Item::Func | Item::Alias | Item::Lower { .. } = item {
            funcs.push(New::Old(func));
        }
        match item {
            Item::Lower { guarded } => {
                lowers.push(Lower {
                    canon,
                    func,
                    core_instances: instance,
                    memory: func * 3,
                    memory_type: MemoryType {
                        minimum: 0,
                        maximum: None,
                        memory64: false,
                        shared: false,
                        page_size_log2: None,
                    },
                    function: None,
                });
                found.push(if *guarded {
                    Ok(instance)
                } else {
                    funcs.push(New::Refreshed(func));
                    instances.extend([New::Argument(func), New::Refresh(func)]);
                    canons.push(canon);
                    Err(Unguarded::Uses(0))
                });
            }
            Item::Instance => instances.push(New::Old(instance)),
            Item::Lift | Item::Func | Item::Alias => {}
        }
        canon += u32::from(!matches!(item, Item::Alias | Item::Instance));
        func += u32::from(!matches!(item, Item::Lift | Item::Instance));
        instance += u32::from(matches!(item, Item::Instance));
    }
    let plan = ComponentPlan::new(&lowers, &found).unwrap();
    (plan, canons, funcs, instances)
}

fn position(space: &[New], of: New) -> Option<u32> {
    let found = space.iter().position(|item| *item == of)?;
    Some(u32::try_from(found).unwrap())
}

proptest! {
    #[test]
    fn each_old_index_goes_where_its_item_stands(items in items()) {
        let (plan, _, funcs, instances) = lay_out(&items);
        for item in &funcs {
            if let New::Old(old) = *item {
                // Uses of a lower that gets a refresh are uses of the refresh.
                let expected = position(&funcs, New::Refreshed(old)).or(position(&funcs, *item));
                prop_assert_eq!(Some(plan.core_func(old)), expected);
            }
        }
        for item in &instances {
            if let New::Old(old) = *item {
                prop_assert_eq!(Some(plan.core_instance(old)), position(&instances, *item));
            }
        }
    }

    #[test]
    fn each_refresh_is_placed_where_it_stands(items in items()) {
        let (plan, canons, funcs, instances) = lay_out(&items);
        let mut refreshes = 0;
        for canon in 0..u32::try_from(items.len()).unwrap() {
            let Some(placed) = plan.refresh_of(canon) else { continue };
            refreshes += 1;
            prop_assert!(canons.contains(&canon));
            let New::Old(func) = funcs[placed.lowered as usize] else {
                panic!("what is called the lowered function is none");
            };
            prop_assert_eq!(placed.memory, func * 3);
            prop_assert_eq!(position(&funcs, New::Refreshed(func)), Some(placed.refreshed));
            prop_assert_eq!(position(&instances, New::Argument(func)), Some(placed.argument));
            prop_assert_eq!(position(&instances, New::Refresh(func)), Some(placed.refresh));
        }
        prop_assert_eq!(refreshes, canons.len());
        prop_assert_eq!(plan.is_identity(), canons.is_empty());
    }

    #[test]
    fn no_use_goes_to_a_lowered_function(items in items(), old in 0u32..100) {
        let (plan, canons, ..) = lay_out(&items);
        let new = plan.core_func(old);
        for canon in canons {
            prop_assert_ne!(Some(new), plan.refresh_of(canon).map(|placed| placed.lowered));
        }
    }

    #[test]
    fn maps_keep_the_order(items in items(), a in any::<u32>(), b in any::<u32>()) {
        let (plan, ..) = lay_out(&items);
        let (low, high) = (a.min(b), a.max(b));
        prop_assert!(plan.core_func(low) <= plan.core_func(high));
        prop_assert!(plan.core_instance(low) <= plan.core_instance(high));
        prop_assert!(plan.module(low) <= plan.module(high));
    }
}
