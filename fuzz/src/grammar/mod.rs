//! Valid components with marked functions in many shapes. All of them run, on a host as [`crate::machine`] is one.
//!
//! A component of the grammar imports the interface, lowers its functions a few times (with this memory or that, with
//! options, one by one or several), gives them to a guest ([`guest`]) directly, through instances or through a table as
//! `wit-component` does, and holds other components, which get the interface under another name, bundled anew, passed
//! through, or implemented by a third component rather than by the host. Items that only take indices stand between.

mod guest;
mod texts;

use arbitrary::{Result, Unstructured};

use guest::Guest;

/// The deepest nesting: the outermost component is at depth 0.
const DEEPEST: usize = 2;

/// A component of the grammar.
#[derive(Debug)]
pub struct Made {
    /// In the text format.
    pub text: String,
    /// In binary.
    pub bytes: Vec<u8>,
    /// How many marked functions its tree lowers.
    pub lowers: usize,
    /// The functions that it exports, to be called in this order: each with as many `u32` parameters.
    pub exports: Vec<(String, usize)>,
    /// Whether some guest may name a return area that is out of bounds or misaligned.
    pub bad_areas: bool,
}

/// Makes a component.
///
/// # Errors
///
/// Those of `u`, which has none when it is exhausted.
///
/// # Panics
///
/// If the component is not valid: the grammar is wrong.
pub fn component(u: &mut Unstructured<'_>) -> Result<Made> {
    let mut maker = Maker { u, ids: 0, lowers: 0, bad_areas: false, implemented: false };
    let imports = texts::imports(texts::PUBLIC, &texts::cases());
    let body = maker.body(0, &imports, None)?;
    let text = format!("(component {})", body.text);
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("the grammar is wrong: {error}\n{text}"));
    Ok(Made { bytes, lowers: maker.lowers, exports: body.exports, bad_areas: maker.bad_areas, text })
}

struct Maker<'u, 'd> {
    u: &'u mut Unstructured<'d>,
    ids: usize,
    lowers: usize,
    bad_areas: bool,
    /// Whether the component being made is within one whose interface a component implements.
    implemented: bool,
}

/// What is in a component, and the functions that it exports with the number of their parameters.
struct Body {
    text: String,
    exports: Vec<(String, usize)>,
}

/// A lower of a swapping function: core function `$l<index>`.
#[derive(Clone, Copy, Debug)]
struct Lowered {
    maps: bool,
    memory: usize,
}

/// How the guest is given its functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By an instance made in place.
    Inline,
    /// By an instance with a name, which a second guest gets too.
    Shared,
    /// By a table that is filled after the guest is there, as `wit-component` does.
    Table,
}

impl Maker<'_, '_> {
    fn id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    fn one_in(&mut self, n: u8) -> Result<bool> {
        self.u.ratio(1, n)
    }

    /// A component's items. `outer` is how many memories the module `$libc` of the component around it has.
    fn body(&mut self, depth: usize, imports: &str, outer: Option<usize>) -> Result<Body> {
        let mut text = imports.to_owned();
        text += &self.between()?;
        let (libc, each, memories) = self.memories(outer)?;
        text += &libc;
        text += &self.between()?;
        let (types, map, unmap) = self.sources(&mut text)?;
        text += &texts::plumbing(&types, memories);

        let way = *self.u.choose(&[Way::Inline, Way::Shared, Way::Table])?;
        let lowered = self.choose_lowers(memories)?;
        let mut lowers = String::new();
        for (nth, lower) in lowered.iter().enumerate() {
            lowers += &self.between()?;
            lowers += &self.lower(nth, *lower, if lower.maps { &map } else { &unmap })?;
        }
        let guests = if way == Way::Shared { 2 } else { 1 };
        let guest = Guest::new(self.u, &lowered, memories)?;
        self.bad_areas |= guest.bad_areas;
        match way {
            Way::Inline | Way::Shared => {
                text += &lowers;
                text += &guest.instances(guests);
            }
            Way::Table => {
                text += &guest.table_before();
                text += &lowers;
                text += &guest.table_after();
            }
        }
        let mut exports = Vec::new();
        for nth in 0..guests {
            text += &format!("(func $run{nth} (canon lift (core func $main{nth} \"run\")))");
            text += &format!("(export \"run{nth}\" (func $run{nth}))");
            exports.push((format!("run{nth}"), 0));
        }
        text += &self.between()?;
        self.children(depth, &types, each, &mut text, &mut exports)?;
        if !lowered.is_empty() && self.one_in(6)? {
            // A lowered function lifted again, to be called by the host. Called last: it traps.
            let nth = self.u.choose_index(lowered.len())?;
            text += &format!("(func $raw {} (canon lift (core func $l{nth})))", texts::FOUR);
            text += "(export \"raw\" (func $raw))";
            exports.push(("raw".into(), 4));
        }
        Ok(Body { text, exports })
    }

    /// The module `$libc` and its instances, how many memories it has, and how many `$memory<index>` there are.
    fn memories(&mut self, outer: Option<usize>) -> Result<(String, usize, usize)> {
        let (mut text, each) = match outer {
            Some(each) if self.one_in(3)? => ("(alias outer 1 $libc (core module $libc))".into(), each),
            _ => {
                let each = if self.one_in(4)? { 2 } else { 1 };
                let pages = self.u.int_in_range(1..=3)?;
                let limits = match self.u.int_in_range(0..=2)? {
                    0 => format!("{pages}"),
                    1 => format!("{pages} {pages}"),
                    _ => format!("{pages} {}", pages + 2),
                };
                (texts::libc(each, &limits), each)
            }
        };
        let instances = self.u.int_in_range(1..=2)?;
        for instance in 0..instances {
            text += &format!("(core instance $libc{instance} (instantiate $libc))");
            text += &self.between()?;
            for nth in 0..each {
                let memory = instance * each + nth;
                text += &format!(r#"(alias core export $libc{instance} "m{nth}" (core memory $memory{memory}))"#);
            }
        }
        text += r#"(alias core export $libc0 "realloc" (core func $realloc))"#;
        Ok((text, each, instances * each))
    }

    /// Where the functions come from: the instance to take them of, and what names `map` and `unmap`.
    fn sources(&mut self, text: &mut String) -> Result<(String, String, String)> {
        let id = self.id();
        let mut types = "$types".to_owned();
        if self.one_in(4)? {
            // Through a component that passes the interface on.
            let interface = texts::interface(&texts::cases());
            *text += &format!(
                r#"(component $pass{id} (import "in" (instance $in {interface})) (export "out" (instance $in)))
                   (instance $passed{id} (instantiate $pass{id} (with "in" (instance $types))))
                   (alias export $passed{id} "out" (instance $again{id}))"#
            );
            types = format!("$again{id}");
        }
        let (map, unmap) = (texts::MAP, texts::UNMAP);
        Ok(match self.u.int_in_range(0..=2)? {
            0 => {
                *text += &format!(
                    r#"(alias export {types} "{map}" (func $map)) (alias export {types} "{unmap}" (func $unmap))"#
                );
                (types, "$map".into(), "$unmap".into())
            }
            1 => {
                // Bundled anew, under other names.
                *text += &format!(
                    r#"(alias export {types} "{map}" (func $m{id})) (alias export {types} "{unmap}" (func $u{id}))
                       (instance $bundle{id} (export "a" (func $u{id})) (export "b" (func $m{id})))"#
                );
                (types, format!(r#"$bundle{id} "b""#), format!(r#"$bundle{id} "a""#))
            }
            _ => {
                let (map, unmap) = (format!(r#"{types} "{map}""#), format!(r#"{types} "{unmap}""#));
                (types, map, unmap)
            }
        })
    }

    fn choose_lowers(&mut self, memories: usize) -> Result<Vec<Lowered>> {
        let count = self.u.int_in_range(0..=5)?;
        (0..count)
            .map(|nth| {
                let maps = if nth < 2 { nth == 0 } else { self.u.arbitrary()? };
                Ok(Lowered { maps, memory: self.u.choose_index(memories)? })
            })
            .collect()
    }

    fn lower(&mut self, nth: usize, lower: Lowered, func: &str) -> Result<String> {
        self.lowers += 1;
        let encoding = *self.u.choose(&["", "string-encoding=utf8", "string-encoding=utf16"])?;
        let realloc = if self.one_in(3)? { "(realloc $realloc)" } else { "" };
        let memory = format!("(memory $memory{})", lower.memory);
        let options = match self.u.arbitrary()? {
            true => format!("{encoding} {memory} {realloc}"),
            false => format!("{memory} {realloc} {encoding}"),
        };
        Ok(format!("(core func $l{nth} (canon lower (func {func}) {options}))"))
    }

    /// Items that mean nothing but take indices.
    fn between(&mut self) -> Result<String> {
        let mut text = String::new();
        for _ in 0..self.u.int_in_range(0..=2)? {
            let id = self.id();
            text += &match self.u.int_in_range(0..=7)? {
                0 => format!(r#"(core module $x{id} (func (export "f") (param i32)))"#),
                1 => format!(
                    r#"(core module $x{id} (func (export "f") (param i32))) (core instance $y{id} (instantiate $x{id}))
                       (alias core export $y{id} "f" (core func $z{id}))
                       (type $r{id} (resource (rep i32) (dtor (func $z{id}))))
                       (core func (canon resource.new $r{id}))"#
                ),
                2 => format!("(type $r{id} (resource (rep i32))) (core func (canon resource.drop $r{id}))"),
                3 => r#"(core func (canon lower (func $types "granule")))"#.into(),
                4 => format!(
                    r#"(core module $x{id} (func (export "f"))) (core instance $y{id} (instantiate $x{id}))
                       (func (canon lift (core func $y{id} "f")))"#
                ),
                5 => format!("(core type $t{id} (func (param i32)))"),
                6 => format!(r#"(@custom "about" "{id}")"#),
                _ => format!("(component $x{id} (core module (memory 1)))"),
            };
        }
        Ok(text)
    }

    /// Components within this one, and their functions exported.
    fn children(
        &mut self,
        depth: usize,
        types: &str,
        each: usize,
        text: &mut String,
        exports: &mut Vec<(String, usize)>,
    ) -> Result<()> {
        if depth == DEEPEST {
            return Ok(());
        }
        for child in 0..self.u.int_in_range(0..=2)? {
            let id = self.id();
            let name = *self.u.choose(&["regions", texts::PUBLIC, "some:other/name@1.2.3"])?;
            // Implemented by another component, not by the host.
            let implemented = self.one_in(4)?;
            // Wasmtime 48 asserts, where assertions are on, that two components spell the labels alike.
            let outer = self.implemented;
            self.implemented |= implemented;
            let capitals = !self.implemented && self.one_in(4)?;
            let cases = if capitals { texts::cases().to_uppercase() } else { texts::cases() };
            let body = self.body(depth + 1, &texts::imports(name, &cases), Some(each))?;
            self.implemented = outer;
            let given = match implemented {
                true => {
                    *text += &texts::implementation(id);
                    format!("(instance $implementation{id})")
                }
                false => format!("(instance {types})"),
            };
            *text += &format!(
                r#"(component $child{id} {})
                   (instance $child{id} (instantiate $child{id}
                     (with "{name}" {given}) (with "log" (func $log)) (with "dump" (func $dump))))"#,
                body.text
            );
            for (export, params) in body.exports {
                let own = format!("child{child}-{export}");
                *text += &format!(r#"(export "{own}" (func $child{id} "{export}"))"#);
                exports.push((own, params));
            }
        }
        // Those that trap are called last.
        exports.sort_by_key(|(_, params)| *params);
        Ok(())
    }
}
