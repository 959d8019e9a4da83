//! The memory ends where it did, whatever is mapped: what is out of bounds traps.

use wasmtime::Trap;

use crate::support::{END, G, Guest, Setup, World, on_every_setup, trap_is};

/// Every call here is out of bounds, of a memory that ends at `end`.
fn expect_out_of_bounds(setup: Setup, prepare: fn(&Guest, &mut World) -> u32) {
    type Access = fn(&Guest, &mut World, u32) -> wasmtime::Result<()>;
    let accesses: [Access; 9] = [
        |guest, world, end| guest.call::<_, u32>(world, "load8", (end,)).map(drop),
        |guest, world, _| guest.call::<_, u32>(world, "load8", (u32::MAX,)).map(drop),
        |guest, world, end| guest.call::<_, u64>(world, "load64", (end - 4,)).map(drop),
        |guest, world, end| guest.run(world, "store8", (end, 1u32)),
        |guest, world, end| guest.run(world, "store128", (end - 15, 1u32)),
        |guest, world, end| guest.call::<_, u32>(world, "load8-far", (end - 0x10000,)).map(drop),
        |guest, world, _| guest.call::<_, u32>(world, "load8-farther", (u32::MAX,)).map(drop),
        |guest, world, end| guest.run(world, "fill", (end - 10, 1u32, 11u32)),
        |guest, world, end| guest.run(world, "copy", (0x4000u32, end - 10, 11u32)),
    ];
    let (mut bystanders, bystander) = World::with_guest(setup);
    let kept = bystander.mapped(&mut bystanders, 2 * G, 1, 0x42);
    for access in accesses {
        let (mut world, guest) = World::with_guest(setup);
        let end = prepare(&guest, &mut world);
        // The last byte is there.
        guest.store(&mut world, end - 1, 7);
        assert_eq!(guest.load(&mut world, end - 1), 7);
        trap_is(access(&guest, &mut world, end), Trap::MemoryOutOfBounds);
        bystander.expect(&mut bystanders, 2 * G, G, 0x42);
    }
    bystander.unmap(&mut bystanders, kept, 2 * G, G).unwrap();
}

on_every_setup! {
    fn out_of_bounds_in_the_first_view_traps(setup) {
        expect_out_of_bounds(setup, |_, _| END);
    }

    fn out_of_bounds_while_mapped_traps(setup) {
        expect_out_of_bounds(setup, |guest, world| {
            guest.mapped(world, 5 * G, 2, 1);
            guest.mapped(world, END - G, 1, 2);
            END
        });
    }

    fn out_of_bounds_after_growth_while_mapped_traps(setup) {
        expect_out_of_bounds(setup, |guest, world| {
            guest.mapped(world, 5 * G, 2, 1);
            guest.grow(world, 3);
            END + 3 * G
        });
    }

    fn out_of_bounds_after_unmapping_traps(setup) {
        expect_out_of_bounds(setup, |guest, world| {
            let mapping = guest.mapped(world, 5 * G, 2, 1);
            guest.grow(world, 3);
            guest.unmap(world, mapping, 5 * G, 2 * G).unwrap();
            END + 3 * G
        });
    }
}
