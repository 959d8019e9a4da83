//! Prints the public interface that a crate's documentation in JSON describes, an item a line. Usage: api-list FILE.json

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).ok_or("usage: api-list FILE.json")?;
    let api = public_api::Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_derived_impls(false)
        .omit_auto_trait_impls(true)
        .build()?;
    println!("{api}");
    Ok(())
}
