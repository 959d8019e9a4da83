//! The handler for the host's writes into frozen mappings: what it does when a system call of its own fails, and what
//! becomes of a runtime when the handler can't be installed. Where that may end the process, in one of its own.

use std::os::unix::process::ExitStatusExt;

use mappable::injection::{self, Call};
use mappable::{GRANULE, MappingMode, Runtime, RuntimeError};
use wasmtime::{Store, Trap};

use crate::support::{Fixture, G, Guest, Setup, State, trap_is};
use crate::{alone, child, had, wat};

/// Where the host is had to write from, and to: over the border of two pages of the mapping.
const FROM: u32 = 2 * G;
const TO: u32 = 4 * G + 4096 - 5;

/// Two guests with the same frozen bytes at the same place, and what the first has the host read from.
struct Readers {
    store: Store<State>,
    a: Guest,
    b: Guest,
    /// What the first has mapped.
    mapping: u32,
    source: u32,
}

impl Readers {
    fn new(fixture: &Fixture) -> Self {
        let component = fixture.compile(&wat::pair(fixture.setup.memory()));
        let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
        let instance = fixture.linker.instantiate(&mut store, &component).unwrap();
        let [a, b] = Guest::pair(instance, &mut store);
        let mapping = a.mapped(&mut store, FROM, 1, 0x77);
        let source = a.unmap(&mut store, mapping, FROM, G).unwrap();
        let frozen = a.frozen(&mut store, 4 * G, 2, 0x31);
        let other = a.clone_frozen(&mut store, frozen).unwrap();
        let other: u32 = a.call(&mut store, "pass-frozen", (other,)).unwrap();
        let mapping = a.map_frozen(&mut store, frozen, 4 * G, 2 * G).unwrap();
        b.map_frozen(&mut store, other, 4 * G, 2 * G).unwrap();
        Self { store, a, b, mapping, source }
    }

    /// The host writes ten bytes into the first guest's frozen mapping.
    fn write(&mut self, to: u32) -> i64 {
        self.a.call(&mut self.store, "read", (self.source, 0u64, 10u32, to)).unwrap()
    }

    fn others_see_what_was_frozen(&mut self) {
        self.b.expect(&mut self.store, 4 * G, 2 * G, 0x31);
    }
}

const SETUPS: [Setup; 8] = [
    Setup::Swap,
    Setup::Remap,
    Setup::Fixed,
    Setup::NoViews,
    Setup::LedgerSwap,
    Setup::LedgerRemap,
    Setup::LedgerFixed,
    Setup::LedgerNoViews,
];

#[test]
fn where_a_whole_mapping_can_not_be_made_private_a_page_is() {
    let _alone = alone();
    for setup in SETUPS {
        let fixture = Fixture::new(setup, setup.runtime_that_keeps_none(setup.config()));
        let before = had();
        let mut readers = Readers::new(&fixture);
        injection::fail(Call::Protect, 0);
        assert_eq!(readers.write(TO), 10);
        assert!(injection::stop(), "{setup:?}: the handler asks for the whole mapping first");
        let Readers { store, a, .. } = &mut readers;
        a.expect(store, 4 * G, 4096 - 5, 0x31);
        a.expect(store, TO, 10, 0x77);
        a.expect(store, TO + 10, 6 * G - TO - 10, 0x31);
        readers.others_see_what_was_frozen();
        // What the host wrote is gone with the mapping.
        let Readers { store, a, mapping, .. } = &mut readers;
        let frozen = a.unmap_frozen(store, *mapping, 4 * G, 2 * G).unwrap();
        *mapping = a.map_frozen(store, frozen, 4 * G, 2 * G).unwrap();
        a.expect(store, 4 * G, 2 * G, 0x31);
        readers.others_see_what_was_frozen();
        // One page after another, while no whole mapping is to be had.
        for page in [1, 3, 17] {
            injection::fail(Call::Protect, 0);
            assert_eq!(readers.write(4 * G + page * 4096), 10);
            assert!(injection::stop(), "{setup:?}: page {page} was still shown for reading alone");
            let Readers { store, a, .. } = &mut readers;
            a.expect(store, 4 * G + page * 4096, 10, 0x77);
            a.expect(store, 4 * G + page * 4096 + 10, 4096 - 10, 0x31);
        }
        readers.others_see_what_was_frozen();
        // The pages between are as they were: the guest's own store traps.
        let answer = readers.a.run(&mut readers.store, "store8", (4 * G + 2 * 4096, 1u32));
        trap_is(answer, Trap::MemoryOutOfBounds);
        drop(readers);
        fixture.check_canary();
        assert_eq!(had(), before, "{setup:?}");
    }
}

/// Run by `a_write_that_can_not_be_made_harmless_ends_the_process`, in a process of its own.
#[test]
#[ignore = "ends the process"]
fn child_a_write_that_can_not_be_made_harmless() {
    let fixture = Fixture::new(Setup::Swap, Setup::Swap.runtime());
    let mut readers = Readers::new(&fixture);
    readers.others_see_what_was_frozen();
    println!("before the write");
    injection::fail_from(Call::Protect, 0);
    readers.write(TO);
    println!("after the write");
}

#[test]
fn a_write_that_can_not_be_made_harmless_ends_the_process() {
    let _alone = alone();
    // As it would without the handler. Going on would change what others take for constant.
    let output = child("host_writes::child_a_write_that_can_not_be_made_harmless");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("before the write") && !said.contains("after the write"), "{said}");
    assert_eq!(output.status.signal(), Some(11), "by SIGSEGV: {:?}", output.status);
}

/// Run by `without_the_handler_there_is_no_runtime_that_maps_pages`, in a process of its own: it is installed but once.
#[test]
#[ignore = "wants a process in which no runtime was made"]
fn child_without_the_handler() {
    let before = had();
    injection::fail_from(Call::Sigaction, 0);
    for mode in [MappingMode::Auto, MappingMode::Remap, MappingMode::Off] {
        let error = Runtime::builder().mapping(mode).build().unwrap_err();
        assert!(matches!(error, RuntimeError::FaultHandler(_)), "{mode:?}: {error:?}");
    }
    assert!(mappable::install_fault_handler().is_err());
    // Where frozen regions are copied, there is nothing to handle.
    drop(Runtime::builder().mapping(MappingMode::Copy).config(Setup::Copy.config()).build().unwrap());
    assert!(injection::stop());
    assert_eq!(had(), before);
    let runtime = Runtime::new().unwrap();
    assert!(runtime.allocate_from(&[1]).unwrap().size() == GRANULE);
    println!("all was tried");
}

#[test]
fn without_the_handler_there_is_no_runtime_that_maps_pages() {
    let _alone = alone();
    let output = child("host_writes::child_without_the_handler");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("all was tried"), "{output:?}");
}
