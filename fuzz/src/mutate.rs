//! How one component becomes another: bytes are changed, and sections moved, on any level of the tree.
//!
//! Sections are taken apart and put together again with their right sizes, so that a change within one leaves all
//! others where a reader looks for them.

use arbitrary::{Result, Unstructured};

use crate::corpus;

/// The section that holds a component.
const COMPONENT: u8 = 4;
/// Magic number, version and layer.
const PREAMBLE: usize = 8;

/// A component or core module, taken apart.
#[derive(Clone, Debug)]
struct Sections {
    preamble: Vec<u8>,
    sections: Vec<(u8, Vec<u8>)>,
}

impl Sections {
    /// None if sizes don't fit.
    fn split(bytes: &[u8]) -> Option<Self> {
        let (preamble, mut rest) = bytes.split_at_checked(PREAMBLE)?;
        let mut sections = Vec::new();
        while let Some((id, behind)) = rest.split_first() {
            let (size, behind) = leb(behind)?;
            let (content, behind) = behind.split_at_checked(size)?;
            sections.push((*id, content.to_vec()));
            rest = behind;
        }
        Some(Sections { preamble: preamble.to_vec(), sections })
    }

    fn join(self) -> Vec<u8> {
        let mut bytes = self.preamble;
        for (id, content) in self.sections {
            bytes.push(id);
            push_leb(&mut bytes, content.len());
            bytes.extend(content);
        }
        bytes
    }
}

/// Takes a component apart and puts it together again, if its sizes fit.
pub fn rejoined(bytes: &[u8]) -> Option<Vec<u8>> {
    Sections::split(bytes).map(Sections::join)
}

fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

fn push_leb(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A component of the corpus, changed in some places.
pub fn mutated(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = corpus::choose(u)?.to_vec();
    for _ in 0..u.int_in_range(1..=4)? {
        bytes = mutate(u, bytes)?;
    }
    Ok(bytes)
}

/// A component with one type, within so many others. The text format doesn't nest as deep.
pub fn deep(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    // A component's type or an instance's, with one declaration: a type.
    let levels = u.int_in_range(0..=5_000)?;
    let level = |u: &mut Unstructured<'_>| Ok([*u.choose(&[0x41, 0x42])?, 1, 1]);
    let mut content = vec![1];
    for _ in 0..levels {
        content.extend(level(u)?);
    }
    content.extend([0x41, 0]);
    let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
    push_leb(&mut bytes, content.len());
    bytes.extend(content);
    Ok(bytes)
}

fn mutate(u: &mut Unstructured<'_>, bytes: Vec<u8>) -> Result<Vec<u8>> {
    match Sections::split(&bytes) {
        Some(sections) if !sections.sections.is_empty() && u.ratio(7, 8)? => Ok(mutate_sections(u, sections)?.join()),
        _ => mutate_bytes(u, bytes),
    }
}

fn mutate_sections(u: &mut Unstructured<'_>, mut whole: Sections) -> Result<Sections> {
    let sections = &mut whole.sections;
    let at = u.choose_index(sections.len())?;
    match u.int_in_range(0..=9)? {
        0 => drop(sections.remove(at)),
        1 => sections.insert(at, sections[at].clone()),
        2 => {
            let other = u.choose_index(sections.len())?;
            sections.swap(at, other);
        }
        3 => sections[at].0 = u.int_in_range(0..=12)?,
        4 => {
            // A section of another component.
            if let Some(other) = Sections::split(corpus::choose(u)?) {
                sections.insert(at, u.choose(&other.sections)?.clone());
            }
        }
        // Another component, whole.
        5 => sections.insert(at, (COMPONENT, corpus::choose(u)?.to_vec())),
        // Within the section, or the component that it holds.
        _ => {
            let content = std::mem::take(&mut sections[at].1);
            sections[at].1 = match sections[at].0 {
                COMPONENT => mutate(u, content)?,
                _ => mutate_bytes(u, content)?,
            };
        }
    }
    Ok(whole)
}

fn mutate_bytes(u: &mut Unstructured<'_>, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    if bytes.is_empty() {
        return Ok(u.arbitrary::<[u8; 4]>()?.to_vec());
    }
    let at = u.choose_index(bytes.len())?;
    match u.int_in_range(0..=7)? {
        0 => bytes[at] = u.arbitrary()?,
        // Indices and counts are small numbers.
        1..=4 => bytes[at] = bytes[at].wrapping_add_signed(u.int_in_range(-2..=2)?),
        5 => {
            let end = bytes.len().min(at + u.int_in_range(1..=8)?);
            bytes.drain(at..end);
        }
        6 => {
            let new: [u8; 3] = u.arbitrary()?;
            bytes.splice(at..at, new);
        }
        _ => bytes.truncate(at),
    }
    Ok(bytes)
}
