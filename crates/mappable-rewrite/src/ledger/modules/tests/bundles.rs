//! Many wrappers in one module.

use std::collections::HashMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode};
use wasmparser::{FuncType, FunctionBody, Global, Payload, TypeRef};

use super::*;

/// The items that a module's needs are given: each another callee, one of a few memories and `realloc`s, and what is the
/// component's own.
fn items(module: &Module, next: &mut u32) -> Vec<Item> {
    let mut given = |need: &Need| {
        let kind = match need {
            Need::GuestMemory | Need::Ledger | Need::Window => ExportKind::Memory,
            Need::Table("number" | "record" | "forbidden") => ExportKind::Global,
            Need::Table(name) if name.starts_with("shown-") => ExportKind::Global,
            _ => ExportKind::Func,
        };
        let item = match need {
            Need::Callee | Need::Engine => {
                *next += 1;
                *next
            }
            Need::GuestMemory | Need::Realloc => *next % 3,
            _ => 0,
        };
        (kind, item)
    };
    module.needs.iter().map(|(_, need)| given(need)).collect()
}

fn bundle(modules: &[Module]) -> Bundle {
    let (mut bundler, mut next) = (Bundler::default(), 0);
    for module in modules {
        assert!(bundler.has_room());
        bundler.add(module, &items(module, &mut next)).unwrap();
    }
    bundler.finish().unwrap()
}

/// What an index of a module is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Thing {
    Import(Need, Item),
    /// The wrapper's own, of that number.
    Own(u32),
}

/// A module as far as it is read: what is imported, and defined, and the bytes that the latter are read from.
#[derive(Default)]
struct Parts<'a> {
    types: Vec<FuncType>,
    imports: Vec<(&'a str, TypeRef)>,
    funcs: Vec<u32>,
    globals: Vec<Global<'a>>,
    exports: Vec<(&'a str, u32)>,
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Parts<'a> {
    fn of(module: &'a [u8]) -> Self {
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(module).unwrap();
        let mut parts = Parts::default();
        for payload in wasmparser::Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::TypeSection(section) => {
                    parts.types.extend(section.into_iter_err_on_gc_types().map(Result::unwrap));
                }
                Payload::ImportSection(section) => {
                    let imports = section.into_imports().map(Result::unwrap);
                    parts.imports.extend(imports.map(|import| (import.name, import.ty)));
                }
                Payload::FunctionSection(section) => parts.funcs.extend(section.into_iter().map(Result::unwrap)),
                Payload::GlobalSection(section) => parts.globals.extend(section.into_iter().map(Result::unwrap)),
                Payload::ExportSection(section) => {
                    let exports = section.into_iter().map(Result::unwrap);
                    parts.exports.extend(exports.map(|export| (export.name, export.index)));
                }
                Payload::CodeSectionEntry(body) => parts.bodies.push(body),
                _ => {}
            }
        }
        parts
    }

    fn imported_funcs(&self) -> usize {
        self.imports.iter().filter(|(_, ty)| matches!(ty, TypeRef::Func(_))).count()
    }
}

/// Writes what a wrapper has with numbers for what it is made of, the same whichever module it is in.
struct Known<'a> {
    numbers: &'a mut HashMap<Thing, u32>,
    known_types: &'a mut HashMap<FuncType, u32>,
    types: &'a [FuncType],
    funcs: Vec<Thing>,
    memories: Vec<Thing>,
    globals: Vec<Thing>,
}

impl Known<'_> {
    fn number(&mut self, thing: Option<Thing>) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(thing.expect("an index is in range")).or_insert(next)
    }
}

impl Reencode for Known<'_> {
    type Error = Infallible;

    fn type_index(&mut self, ty: u32) -> Result<u32, reencode::Error> {
        let next = self.known_types.len() as u32;
        Ok(*self.known_types.entry(self.types[ty as usize].clone()).or_insert(next))
    }

    fn function_index(&mut self, func: u32) -> Result<u32, reencode::Error> {
        Ok(self.number(self.funcs.get(func as usize).copied()))
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, reencode::Error> {
        Ok(self.number(self.memories.get(memory as usize).copied()))
    }

    fn global_index(&mut self, global: u32) -> Result<u32, reencode::Error> {
        Ok(self.number(self.globals.get(global as usize).copied()))
    }
}

/// Each wrapper in the bundle does what its own module does, with what it is given.
fn check_bundle(bundle: &Bundle, modules: &[Module]) {
    let all = Parts::of(&bundle.bytes);
    let fields: Vec<_> = all.imports.iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, bundle.imports.iter().map(|import| import.field.as_str()).collect::<Vec<_>>());
    assert_eq!(all.exports.len(), modules.len());
    let given: Vec<_> = bundle.imports.iter().map(|import| (import.need, import.item)).collect();
    let (mut funcs, mut globals) = (0, 0);
    let mut next = 0;
    for (number, (module, used)) in modules.iter().zip(&bundle.wrappers).enumerate() {
        let needs: Vec<_> = module.needs.iter().map(|(_, need)| *need).zip(items(module, &mut next)).collect();
        assert_eq!(used.iter().map(|import| given[*import]).collect::<Vec<_>>(), needs);
        let one = Parts::of(&module.bytes);
        let (mut numbers, mut types) = (HashMap::new(), HashMap::new());
        let mut written = |parts: &Parts<'_>, given: &[(Need, Item)], funcs, globals, call| {
            let (own_funcs, own_globals) = (one.funcs.len(), one.globals.len());
            written(parts, given, (funcs, own_funcs), (globals, own_globals), call, &mut numbers, &mut types)
        };
        let number = number.to_string();
        let in_bundle = written(&all, &given, funcs, globals, &number);
        assert_eq!(in_bundle, written(&one, &needs, 0, 0, CALL), "wrapper {number}");
        (funcs, globals) = (funcs + one.funcs.len(), globals + one.globals.len());
    }
    assert_eq!((funcs, globals), (all.funcs.len(), all.globals.len()));
}

/// What a module has of a wrapper, with what it is made of by numbers: from which of its functions and globals on, and how
/// many, and which export is the wrapper's.
fn written(
    parts: &Parts<'_>,
    given: &[(Need, Item)],
    (first_func, funcs): (usize, usize),
    (first_global, globals): (usize, usize),
    call: &str,
    numbers: &mut HashMap<Thing, u32>,
    known_types: &mut HashMap<FuncType, u32>,
) -> Vec<u8> {
    let own = |from: usize, count: usize| {
        (0..from + count).map(move |index| Thing::Own(index.checked_sub(from).map_or(u32::MAX, |own| own as u32)))
    };
    let mut known =
        Known { numbers, known_types, types: &parts.types, funcs: vec![], memories: vec![], globals: vec![] };
    for ((_, ty), (need, item)) in parts.imports.iter().zip(given) {
        let things = match ty {
            TypeRef::Func(_) => &mut known.funcs,
            TypeRef::Memory(_) => &mut known.memories,
            _ => &mut known.globals,
        };
        things.push(Thing::Import(*need, *item));
    }
    known.funcs.extend(own(first_func, funcs));
    known.globals.extend(own(first_global, globals));
    let call = parts.exports.iter().find(|(name, _)| *name == call).map(|(_, index)| *index).unwrap();
    let mut module = wasm_encoder::Module::new();
    let (mut types, mut code) = (wasm_encoder::FunctionSection::new(), wasm_encoder::CodeSection::new());
    let mut initial = wasm_encoder::GlobalSection::new();
    for func in first_func..first_func + funcs {
        types.function(known.type_index(parts.funcs[func]).unwrap());
        known.parse_function_body(&mut code, parts.bodies[func].clone()).unwrap();
    }
    for global in first_global..first_global + globals {
        reencode::utils::parse_global(&mut known, &mut initial, parts.globals[global].clone()).unwrap();
    }
    module.section(&types).section(&initial).section(&code);
    let mut written = module.finish();
    written.extend((call as usize - parts.imported_funcs() - first_func).to_le_bytes());
    written
}

proptest! {
    #[test]
    fn each_wrapper_does_in_a_bundle_what_it_does_alone(
        signatures in proptest::collection::vec(signature(), 1..5),
        lists: bool,
    ) {
        let mut modules = vec![may_leave(&[], &[]), guard(&[], &[], &SLOTS, true)];
        modules.push(builtin(Builtin::MappableMap, &signatures[0], true));
        for signature in &signatures {
            modules.extend([lower(signature, lists), lift(signature, lists)]);
            modules.push(builtin(Builtin::MappableSplit, signature, false));
            modules.extend(crossings(signature).iter().map(super::super::crossing));
        }
        check_bundle(&bundle(&modules), &modules);
    }
}

#[test]
fn what_two_wrappers_are_given_alike_is_imported_once() {
    let signature = Signature { params: vec![Value::Own(Kind::Mappable)], result: None };
    let one = lower(&signature, false);
    let bundle = bundle(&[one.clone(), one.clone(), one.clone()]);
    let mut counts: HashMap<Need, usize> = HashMap::new();
    bundle.imports.iter().for_each(|import| *counts.entry(import.need).or_default() += 1);
    for (_, need) in one.needs {
        assert_eq!(counts[&need], if need == Need::Callee { 3 } else { 1 }, "{need:?}");
    }
}

#[test]
fn there_is_room_for_a_thousand_wrappers_and_some_memories() {
    let wrapper = may_leave(&[], &[]);
    let (mut bundler, mut next) = (Bundler::default(), 0);
    while bundler.has_room() {
        bundler.add(&wrapper, &items(&wrapper, &mut next)).unwrap();
    }
    assert_eq!(bundler.finish().unwrap().wrappers.len(), 1000);

    let walks = Signature { params: vec![Value::List(Box::new(Value::Own(Kind::Mappable)))], result: None };
    let wrapper = lower(&walks, false);
    let (mut bundler, mut memories) = (Bundler::default(), 0);
    while bundler.has_room() {
        let items = wrapper.needs.iter().map(|(_, need)| match need {
            Need::GuestMemory => (ExportKind::Memory, memories),
            Need::Ledger => (ExportKind::Memory, 1000),
            _ => (ExportKind::Func, 0),
        });
        bundler.add(&wrapper, &items.collect::<Vec<_>>()).unwrap();
        memories += 1;
    }
    let bundle = bundler.finish().unwrap();
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&bundle.bytes).unwrap();
    assert_eq!(bundle.wrappers.len(), 64);
}
