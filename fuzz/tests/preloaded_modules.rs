//! Core modules with preloads: nothing else is changed, and they run as without. Those of wasm-smith have any operators, and
//! those of a small grammar many loops.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use mappable::Runtime;
use mappable_fuzz::preloaded::check_module;
use mappable_rewrite::preloaded;
use wasm_smith::{Config, Module};
use wasmtime::{Engine, Instance, Store};

/// A module of all operators that there are.
fn any(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let config = Config {
        min_memories: 1,
        max_memories: 3,
        memory64_enabled: u.ratio(1, 8)?,
        threads_enabled: u.ratio(1, 4)?,
        wide_arithmetic_enabled: true,
        min_funcs: 1,
        max_instructions: 400,
        ..Config::default()
    };
    Ok(Module::new(config, u)?.to_bytes())
}

/// The body of a function in text, with loops of few rounds, ways around and out of what is in them, accesses and calls.
struct Program<'u, 'b> {
    u: &'u mut Unstructured<'b>,
    text: String,
    /// The labels of blocks around, not of loops: who branches to one comes to an end.
    blocks: Vec<usize>,
    /// How many loops are around: each has a counter of its own.
    loops: usize,
    labels: usize,
}

impl Program<'_, '_> {
    /// What is not given, but taken out of the bytes when they end: zeroes.
    fn pick(&mut self, most: u32) -> u32 {
        self.u.int_in_range(0..=most).unwrap_or(0)
    }

    fn statements(&mut self, depth: usize) {
        for _ in 0..self.pick(4) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        let number = self.pick(999);
        let address = format!("offset={number} (i32.and (local.get $p) (i32.const 0x7fff))");
        match self.pick(if depth < 6 { 15 } else { 9 }) {
            0 | 1 => self.text += &format!("(call $note (i64.load8_u {address}))"),
            2 => self.text += &format!("(i32.store8 {address} (i32.wrap_i64 (global.get $g)))"),
            3 => self.text += &format!("(v128.store {address} (v128.load {address}))"),
            4 => self.text += &format!("(local.set $p (i32.add (local.get $p) (i32.const {number})))"),
            5 => self.text += &format!("(global.set $g (i64.add (global.get $g) (i64.load {address})))"),
            6 => self.text += "(drop (memory.grow (i32.const 0)))",
            7 => {
                let guard = format!("(i32.eq (local.get $p) (i32.const {number}))");
                self.text += &format!("(if {guard} (then (call $note (i64.const 1)) unreachable))");
            }
            8 | 9 => self.leave(number),
            10 => {
                self.text += &format!("(if (i32.and (local.get $p) (i32.const {number})) (then ");
                self.statements(depth + 1);
                self.text += ") (else ";
                self.statements(depth + 1);
                self.text += "))";
            }
            11 | 12 => {
                self.labels += 1;
                self.blocks.push(self.labels);
                self.text += &format!("(block $b{} ", self.labels);
                self.statements(depth + 1);
                self.text += ")";
                self.blocks.pop();
            }
            _ => self.repeat(depth),
        }
    }

    /// Branches to the end of a block around, if there is one.
    fn leave(&mut self, number: u32) {
        let most = self.blocks.len().saturating_sub(1);
        let nth = self.pick(most as u32) as usize;
        if let Some(block) = self.blocks.get(nth) {
            self.text += &format!("(br_if $b{block} (i32.and (local.get $p) (i32.const {number})))");
            if number.is_multiple_of(16) {
                self.text += &format!("(br $b{block})");
            }
        }
    }

    fn repeat(&mut self, depth: usize) {
        let counter = self.loops;
        self.labels += 1;
        let label = self.labels;
        self.loops += 1;
        self.text += &format!("(local.set $i{counter} (i32.const 3)) (loop $l{label} ");
        self.statements(depth + 1);
        let next = format!("(local.tee $i{counter} (i32.sub (local.get $i{counter}) (i32.const 1)))");
        self.text += &format!("(br_if $l{label} {next}))");
        self.loops -= 1;
    }
}

/// A module with such a function.
fn program(u: &mut Unstructured<'_>) -> String {
    let mut program = Program { u, text: String::new(), blocks: vec![], loops: 0, labels: 0 };
    for _ in 0..4 {
        program.statements(0);
    }
    let body = program.text;
    let counters: String = (0..8).map(|counter| format!("(local $i{counter} i32)")).collect();
    format!(
        r#"(module
          (memory (export "memory") 1)
          (global $g (export "g") (mut i64) (i64.const 0))
          (data (i32.const 100) "abcdefghijklmnopqrstuvwxyz")
          (func $note (param i64)
            (global.set $g (i64.add (local.get 0) (i64.mul (global.get $g) (i64.const 0x100000001b3)))))
          (func (export "run") (param $p i32) {counters} {body}))"#
    )
}

/// What comes of a program: whether it traps, and what is in its memory and in its global.
fn outcome(engine: &Engine, module: &[u8], argument: u32) -> (bool, Vec<u8>, Option<i64>) {
    let module = wasmtime::Module::from_binary(engine, module).expect("it compiles");
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it can be instantiated");
    let run = instance.get_typed_func::<u32, ()>(&mut store, "run").expect("it has that function");
    let traps = run.call(&mut store, argument).is_err();
    let memory = instance.get_memory(&mut store, "memory").expect("it has that memory").data(&store).to_vec();
    let global = instance.get_global(&mut store, "g").expect("it has that global").get(&mut store);
    (traps, memory, global.i64())
}

/// Checks that a program runs as without preloads, on an engine as it comes and on one whose memories move. How many preloads
/// it has.
fn runs_alike(text: &str) -> usize {
    static ENGINES: LazyLock<[Engine; 2]> =
        LazyLock::new(|| [Engine::default(), Runtime::new().expect("this engine is fit").engine().clone()]);
    let module = wat::parse_str(text).expect("it is valid");
    let preloads = check_module(&module);
    let with = preloaded(&module).expect("it is valid");
    let [stock, moving] = &*ENGINES;
    for argument in [0, 777] {
        let expected = outcome(stock, &module, argument);
        assert!(outcome(stock, &with, argument) == expected, "{text}");
        assert!(outcome(moving, &with, argument) == expected, "{text}");
    }
    preloads
}

#[test]
fn preloaded_modules() {
    mappable_fuzz::check!(4096, |bytes| {
        let mut u = Unstructured::new(bytes);
        match u.ratio(1, 2) {
            Ok(true) => drop(any(&mut u).map(|module| check_module(&module))),
            _ => drop(runs_alike(&program(&mut u))),
        }
    });
}

/// Such modules have what it is for.
#[test]
fn modules_have_loops_that_are_worth_it() {
    let (mut of_smith, mut of_programs, mut worth_it) = (0, 0, 0);
    for seed in 0..600 {
        let noise = mappable_fuzz::noise(seed, 3000);
        of_smith += any(&mut Unstructured::new(&noise)).map_or(0, |module| check_module(&module));
    }
    for seed in 0..150 {
        let noise = mappable_fuzz::noise(seed, 3000);
        let preloads = runs_alike(&program(&mut Unstructured::new(&noise)));
        of_programs += preloads;
        worth_it += u32::from(preloads > 0);
    }
    assert!(
        of_smith > 3 && of_programs > 60 && worth_it > 40,
        "{of_smith}, {of_programs} preloads, {worth_it} programs"
    );
}
