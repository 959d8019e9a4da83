//! What a bridge has between its lift and its lower: each handle becomes one of the other side.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstructionSink,
    NameSection, TypeSection, ValType,
};

use super::{CALL, Crossing};
use crate::ledger::interface::Builtin;
use crate::ledger::signature::{Signature, Value};

/// What handles of a value become. Nothing, if it has none.
fn crossing(value: &Value, way: Crossing) -> Option<Builtin> {
    match (value, way) {
        (Value::Own(kind), Crossing::Enter) => Builtin::enter(*kind),
        (Value::Own(kind), Crossing::Leave) => Builtin::leave(*kind),
        _ => None,
    }
}

pub(super) fn bridge(signature: &Signature, params: Crossing, result: Crossing) -> (Vec<u8>, Vec<Builtin>) {
    let (flat, _) = signature.flat_params();
    let (results, _) = signature.flat_results();
    let sent: Vec<_> = signature.params.iter().map(|value| crossing(value, params)).collect();
    let returned = signature.result.as_ref().and_then(|value| crossing(value, result));
    let mut crossings: Vec<Builtin> = sent.iter().copied().chain([returned]).flatten().collect();
    crossings.sort_unstable();
    crossings.dedup();

    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function(flat.iter().copied(), results.iter().copied());
    let mut imports = ImportSection::new();
    imports.import("", "callee", EntityType::Function(1));
    crossings.iter().for_each(|builtin| _ = imports.import("", builtin.package_name(), EntityType::Function(0)));
    let mut functions = FunctionSection::new();
    functions.function(1);
    let mut exports = ExportSection::new();
    exports.export(CALL, ExportKind::Func, 1 + crossings.len() as u32);

    let call = |builtin: Builtin, code: &mut InstructionSink<'_>| {
        let at = crossings.iter().position(|known| *known == builtin).unwrap_or_default();
        code.call(1 + at as u32);
    };
    let mut body = Function::new([]);
    let mut code = body.instructions();
    // All values that cross are one flat value each.
    for (param, crossing) in (0..).zip(sent) {
        code.local_get(param);
        crossing.into_iter().for_each(|builtin| call(builtin, &mut code));
    }
    code.call(0);
    returned.into_iter().for_each(|builtin| call(builtin, &mut code));
    code.end();
    let mut codes = CodeSection::new();
    codes.function(&body);

    let mut names = NameSection::new();
    names.module("mappable-bridge");
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&codes).section(&names);
    (module.finish(), crossings)
}
