// The interface `mappable:memory/types` for the guests of one store, as jco's output imports it.

import { access, lowering } from './lower.js';
import { GRANULE, LONGEST_LIST, Value, WitError, fail, number, trap } from './value.js';

const REPRESENTATION = Symbol.for('cabiRep');
const LOWER = Symbol.for('cabiLower');
/** How jco drops a handle of what it has no object for. */
const DISPOSE_REPRESENTATION = Symbol.for('cabiDispose');
const DISPOSE = Symbol.dispose ?? Symbol.for('dispose');

/** The classes, and what `Store` needs of them: to make an object of a value, and to take it out again. */
export function makeTypes(books) {
  const wrap = (Class, held, representation = books.hold(held)) => {
    const object = Object.create(Class.prototype);
    Object.defineProperty(object, REPRESENTATION, { value: representation, writable: true });
    return object;
  };
  /** What a representation stands for, if that is of this kind. */
  const lookAt = (representation, what) => {
    const held = books.look(representation);
    const isRight = held !== undefined && held.mount === undefined && held.isFrozen === (what === 'frozen');
    return isRight ? held : trap(`no such ${what}: it was given away, mapped or dropped, or is another store's`);
  };
  const region = (object) => lookAt(object?.[REPRESENTATION], 'mappable');
  const frozen = (object) => lookAt(object?.[REPRESENTATION], 'frozen');
  /** A value comes to the store. */
  const give = (Class, value) => {
    const object = wrap(Class, value);
    books.charge(value);
    return object;
  };
  /** A value goes from the store, and is whoever's calls. */
  const take = (object, value) => {
    books.forget(object[REPRESENTATION]);
    books.discharge(value);
    return value;
  };

  const functions = {
    size: (value) => BigInt(value.size),
    len: (value) => BigInt(value.length),
    setLen: (value, length) => value.setLength(number(length)),
    read: (value, offset, length) => {
      value.checkRange(number(offset), length);
      if (length > LONGEST_LIST) fail('list-too-long');
      return value.bytes().subarray(Number(offset), Number(offset) + length);
    },
    write: (value, offset, bytes) => {
      value.checkRange(number(offset), bytes.length);
      value.bytes().set(bytes, Number(offset));
    },
  };

  const mapping = (isPrivate) => (memory, representation, at, length) => {
    const value = books.look(representation);
    if (at + length > memory.buffer.byteLength) trap('list content out-of-bounds');
    const error = books.memories.mapError(memory, value, at, length, isPrivate);
    if (error) return { error };
    const mount = books.memories.map(memory, value, at, isPrivate);
    // The handle of the region is the same again after `unmap`, so that jco finds the object that it may have for it.
    mount.representation = representation;
    books.forget(representation);
    return { representation: books.hold(mount) };
  };
  const unmapping = (memory, representation, at, length) => {
    const mount = books.look(representation);
    if (at + length > memory.buffer.byteLength) trap('list content out-of-bounds');
    if (length === 0) return { error: 'placement-mismatch' };
    if (mount.memory !== memory) trap('mapping used by another instance than the one that made it');
    if (mount.at !== at) return { error: 'placement-mismatch' };
    books.forget(representation);
    return { representation: books.hold(books.memories.unmap(mount), mount.representation) };
  };
  const isValue = (isFrozen) => (representation) => {
    const held = books.look(representation);
    return held !== undefined && held.mount === undefined && held.isFrozen === isFrozen;
  };
  const isMapping = (isFrozen) => (representation) => books.look(representation)?.mount?.value.isFrozen === isFrozen;

  /** Where jco doesn't tell what the placement is: it is a copy. */
  const refuse = (object, at) => fail([object, at.length === 0 ? 'placement-misaligned' : 'placement-unmappable']);
  const dropValue = (representation) => {
    const value = books.look(representation);
    if (value === undefined || value.mount !== undefined) return;
    books.forget(representation);
    books.discharge(value);
    value.release();
  };
  const dropMapping = (representation) => {
    const mount = books.look(representation)?.mount;
    if (mount === undefined) return;
    books.forget(representation);
    books.memories.drop(mount);
  };

  class Mappable {
    constructor() {
      throw new TypeError('regions are made by Mappable.allocate, or by a store\'s insert');
    }

    static allocate(size) {
      if (number(size) === 0) fail('invalid-region-size');
      books.checkRoom(Math.ceil(number(size) / GRANULE) * GRANULE);
      return give(Mappable, Value.allocate(number(size)));
    }

    size() {
      return functions.size(region(this));
    }

    len() {
      return functions.len(region(this));
    }

    setLen(length) {
      functions.setLen(region(this), length);
    }

    static map(this_, at) {
      region(this_);
      refuse(this_, at);
    }

    read(offset, length) {
      return functions.read(region(this), offset, length);
    }

    write(offset, bytes) {
      functions.write(region(this), offset, bytes);
    }

    static freeze(this_) {
      return give(Frozen, take(this_, region(this_)).freeze());
    }

    static split(this_, at) {
      const value = region(this_);
      const error = value.splitError(at) ?? (books.hasRoom(0) ? null : 'region-over-quota');
      if (error) fail([this_, error]);
      const [low, high] = take(this_, value).split(Number(at));
      return [give(Mappable, low), give(Mappable, high)];
    }

    static join(low, high) {
      const [first, second] = [region(low), region(high)];
      if (first === second) trap('a region can\'t be joined with itself');
      if (!first.isFollowedBy(second)) fail([low, high]);
      return give(Mappable, take(low, first).join(take(high, second)));
    }

    [DISPOSE]() {
      dropValue(this[REPRESENTATION]);
    }

    static [DISPOSE_REPRESENTATION](representation) {
      dropValue(representation);
    }
  }

  class Frozen {
    constructor() {
      throw new TypeError('references to frozen regions are made by Mappable.freeze, or by a store\'s insert');
    }

    size() {
      return functions.size(frozen(this));
    }

    len() {
      return functions.len(frozen(this));
    }

    clone() {
      const value = frozen(this);
      books.checkRoom(0);
      return give(Frozen, value.another());
    }

    slice(offset, size) {
      const value = frozen(this);
      const error = value.sliceError(offset, size) ?? (books.hasRoom(0) ? null : 'region-over-quota');
      if (error) fail(error);
      return give(Frozen, value.slice(Number(offset), Number(size)));
    }

    static map(this_, at) {
      frozen(this_);
      refuse(this_, at);
    }

    static mapPrivate(this_, at) {
      frozen(this_);
      refuse(this_, at);
    }

    static thaw(this_) {
      const value = frozen(this_);
      if (!value.isLastReference) fail(this_);
      return give(Mappable, take(this_, value).thaw());
    }

    copy() {
      const value = frozen(this);
      books.checkRoom(value.size);
      return give(Mappable, value.copy());
    }

    read(offset, length) {
      return functions.read(frozen(this), offset, length);
    }

    [DISPOSE]() {
      dropValue(this[REPRESENTATION]);
    }

    static [DISPOSE_REPRESENTATION](representation) {
      dropValue(representation);
    }
  }

  /** What a guest has of a region that is mapped. Nothing but the guest can unmap it. */
  class Mapping {
    constructor() {
      throw new TypeError('mappings are made by guests');
    }

    static unmap() {
      trap('a mapping is of no use outside of the guest that made it');
    }

    [DISPOSE]() {
      dropMapping(this[REPRESENTATION]);
    }

    static [DISPOSE_REPRESENTATION](representation) {
      dropMapping(representation);
    }
  }

  class FrozenMapping {
    constructor() {
      throw new TypeError('mappings are made by guests');
    }

    static unmap() {
      trap('a mapping is of no use outside of the guest that made it');
    }

    [DISPOSE]() {
      dropMapping(this[REPRESENTATION]);
    }

    static [DISPOSE_REPRESENTATION](representation) {
      dropMapping(representation);
    }
  }

  for (const [Class, what] of [[Mappable, 'mappable'], [Frozen, 'frozen']]) {
    const lowered = access((representation) => lookAt(representation, what), functions);
    for (const [name, lower] of Object.entries(lowered)) {
      if (Class.prototype[name]) Class.prototype[name][LOWER] = lower;
    }
  }
  Mappable.map[LOWER] = lowering(mapping(false), isValue(false));
  Frozen.map[LOWER] = lowering(mapping(false), isValue(true));
  Frozen.mapPrivate[LOWER] = lowering(mapping(true), isValue(true));
  Mapping.unmap[LOWER] = lowering(unmapping, isMapping(false));
  FrozenMapping.unmap[LOWER] = lowering(unmapping, isMapping(true));

  return {
    types: { granule: () => GRANULE, Mappable, Mapping, Frozen, FrozenMapping },
    insert: (value) => give(value.isFrozen ? Frozen : Mappable, value),
    remove: (object) => take(object, object instanceof Frozen ? frozen(object) : region(object)),
  };
}

export { WitError };
