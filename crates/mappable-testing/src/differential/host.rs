//! The host's own side of the library: operations of the model, done with `Mappable` and `Frozen`.

use std::collections::BTreeMap;

use mappable::{Frozen, GRANULE, Mappable, Runtime};
use mappable_model::{AccessError, AllocateError, Op, Outcome, PartError};

/// What the host holds.
pub enum Item {
    Region(Mappable),
    Frozen(Frozen),
}

impl Item {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Region(region) => region.bytes().unwrap(),
            Self::Frozen(frozen) => frozen,
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Region(region) => region.size(),
            Self::Frozen(frozen) => frozen.size(),
        }
    }

    /// Whether it is these bytes and no other, as far as its length goes.
    pub fn holds(&self, granules: &[u8], length: u64, whole: bool) -> bool {
        let bytes = self.bytes();
        let is = |(granule, &byte): (&[u8], &u8)| {
            let rest = if whole { byte } else { 0 };
            let (&first, others) = granule.split_first().unwrap();
            // To compare with the neighbour is quicker than byte by byte.
            let are_rest = |others: &[u8]| others[0] == rest && others[1..] == others[..others.len() - 1];
            first == byte && (others.is_empty() || are_rest(others))
        };
        let is_as_long = bytes.len() as u64 == length && self.size() == granules.len() as u64 * GRANULE;
        is_as_long && bytes.chunks(GRANULE as usize).zip(granules).all(is)
    }
}

/// The host's items by the model's numbers.
pub struct Host {
    pub items: BTreeMap<usize, Item>,
    pub runtime: &'static Runtime,
    pub whole: bool,
}

impl Host {
    /// Does what the host does. The model has looked whether it can.
    pub fn perform(&mut self, op: &Op, expected: &Outcome) -> Outcome {
        match *op {
            Op::Allocate { size, .. } => match self.runtime.allocate(size) {
                Ok(region) => self.keep(Item::Region(region), expected),
                Err(error) => allocate(&error),
            },
            Op::Len { handle, .. } => Outcome::Length(self.items[&handle].bytes().len() as u64),
            Op::SetLen { handle, len, .. } => {
                let Some(Item::Region(region)) = self.items.get_mut(&handle) else { panic!("no region {handle}") };
                let outside = |_| Outcome::Access(AccessError::RangeOutsideRegion);
                region.set_len(len).map_or_else(outside, |()| Outcome::Done)
            }
            Op::Freeze { handle, .. } => {
                let frozen = self.region(handle).freeze().unwrap();
                self.keep(Item::Frozen(frozen), expected)
            }
            Op::Thaw { handle, .. } => match self.frozen(handle).thaw() {
                Ok(region) => self.keep(Item::Region(region), expected),
                Err(error) => self.back([(handle, Item::Frozen(error.frozen))], Outcome::GivenBack),
            },
            Op::Clone { handle, .. } => {
                let clone = self.look(handle).clone();
                self.keep(Item::Frozen(clone), expected)
            }
            Op::Slice { handle, offset, size, .. } => match self.look(handle).slice(offset..offset + size) {
                Ok(slice) => self.keep(Item::Frozen(slice), expected),
                Err(error) => part(&error),
            },
            Op::Copy { handle, .. } => match self.look(handle).copy() {
                Ok(region) => self.keep(Item::Region(region), expected),
                Err(error) => allocate(&error),
            },
            Op::Split { handle, at, .. } => match (self.region(handle).split(at), expected) {
                (Ok((low, high)), &Outcome::Handles(first, second)) => {
                    self.items.extend([(first, Item::Region(low)), (second, Item::Region(high))]);
                    Outcome::Handles(first, second)
                }
                (Ok(_), _) => Outcome::Handles(usize::MAX, usize::MAX),
                (Err(error), _) => self.back([(handle, Item::Region(error.region))], part(&error.reason)),
            },
            Op::Join { low, high, .. } => {
                let (first, second) = (self.region(low), self.region(high));
                match first.join(second) {
                    Ok(region) => self.keep(Item::Region(region), expected),
                    Err(error) => self
                        .back([(low, Item::Region(error.low)), (high, Item::Region(error.high))], Outcome::GivenBack),
                }
            }
            Op::Read { handle, offset, len, .. } => {
                let bytes = self.items[&handle].bytes().get(offset as usize..(offset + len) as usize);
                let outside = Outcome::Access(AccessError::RangeOutsideRegion);
                bytes.map_or(outside, |it| Outcome::Bytes(it.iter().step_by(GRANULE as usize).copied().collect()))
            }
            Op::Write { handle, offset, len, byte, .. } => self.write(handle, offset, len, byte),
            Op::Drop { handle, .. } => {
                self.items.remove(&handle).unwrap();
                Outcome::Done
            }
            Op::Pass { handle, .. } => {
                let item = self.items.remove(&handle).unwrap();
                self.keep(item, expected)
            }
            _ => unreachable!("{op:?} is not the host's"),
        }
    }

    fn write(&mut self, handle: usize, offset: u64, len: u64, byte: u8) -> Outcome {
        let Some(Item::Region(region)) = self.items.get_mut(&handle) else { panic!("no region {handle}") };
        let length = region.len();
        if offset + len > length {
            return Outcome::Access(AccessError::RangeOutsideRegion);
        }
        // To its end a granule is one byte, behind the length as well.
        region.set_len(region.size()).unwrap();
        let len = if self.whole { len.next_multiple_of(GRANULE) } else { len };
        let bytes = &mut region.bytes_mut().unwrap()[offset as usize..(offset + len) as usize];
        if self.whole {
            bytes.fill(byte);
        } else {
            bytes.iter_mut().step_by(GRANULE as usize).for_each(|it| *it = byte);
        }
        region.set_len(length).unwrap();
        Outcome::Done
    }

    pub fn keep(&mut self, item: Item, expected: &Outcome) -> Outcome {
        match *expected {
            Outcome::Handle(number) => {
                self.items.insert(number, item);
                Outcome::Handle(number)
            }
            _ => Outcome::Handle(usize::MAX),
        }
    }

    fn back<const N: usize>(&mut self, items: [(usize, Item); N], outcome: Outcome) -> Outcome {
        self.items.extend(items);
        outcome
    }

    fn region(&mut self, handle: usize) -> Mappable {
        match self.items.remove(&handle) {
            Some(Item::Region(region)) => region,
            _ => panic!("the host has no region {handle}"),
        }
    }

    fn frozen(&mut self, handle: usize) -> Frozen {
        match self.items.remove(&handle) {
            Some(Item::Frozen(frozen)) => frozen,
            _ => panic!("the host has no frozen region {handle}"),
        }
    }

    fn look(&self, handle: usize) -> &Frozen {
        match self.items.get(&handle) {
            Some(Item::Frozen(frozen)) => frozen,
            _ => panic!("the host has no frozen region {handle}"),
        }
    }
}

fn allocate(error: &mappable::AllocateError) -> Outcome {
    match error {
        mappable::AllocateError::InvalidRegionSize(_) => Outcome::Allocate(AllocateError::InvalidRegionSize),
        other => panic!("{other}"),
    }
}

fn part(error: &mappable::PartError) -> Outcome {
    match error {
        mappable::PartError::Misaligned => Outcome::Part(PartError::PartMisaligned),
        mappable::PartError::OutsideRegion => Outcome::Part(PartError::PartOutsideRegion),
        other => panic!("{other}"),
    }
}
