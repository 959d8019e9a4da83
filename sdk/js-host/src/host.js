// What an embedder has in hand: regions and references that no guest holds, and stores to give them to.

import { Books } from './store.js';
import { makeTypes } from './types.js';
import { LONGEST_LIST, Value, WitError, fail, number } from './value.js';

/** A value that only the functions of this file can get at. */
const values = new WeakMap();
const DISPOSE = Symbol.dispose ?? Symbol.for('dispose');

function held(object) {
  const value = values.get(object);
  if (value === undefined) throw new TypeError('a region that was given away, frozen or disposed of, or none at all');
  return value;
}

function taken(object) {
  const value = held(object);
  values.delete(object);
  return value;
}

function made(Class, value) {
  const object = Object.create(Class.prototype);
  values.set(object, value);
  return object;
}

/** A region in the embedder's hands. */
export class Region {
  constructor() {
    throw new TypeError('use Region.allocate(length) or Region.from(bytes)');
  }

  static allocate(length) {
    if (number(length) === 0) fail('invalid-region-size');
    return made(Region, Value.allocate(number(length)));
  }

  static from(bytes) {
    const region = Region.allocate(bytes.length);
    region.bytes.set(bytes);
    return region;
  }

  get size() {
    return held(this).size;
  }

  get length() {
    return held(this).length;
  }

  set length(length) {
    held(this).setLength(number(length));
  }

  get bytes() {
    const value = held(this);
    return value.bytes().subarray(0, value.length);
  }

  freeze() {
    return made(FrozenRegion, taken(this).freeze());
  }

  split(at) {
    const error = held(this).splitError(at);
    if (error) fail(error);
    return taken(this).split(Number(at)).map((part) => made(Region, part));
  }

  join(high) {
    const [first, second] = [held(this), held(high)];
    if (!first.isFollowedBy(second)) throw new RangeError('the two are no neighbours of one allocation');
    return made(Region, taken(this).join(taken(high)));
  }

  [DISPOSE]() {
    values.delete(this);
  }

  dispose() {
    this[DISPOSE]();
  }
}

/** A reference to a frozen region in the embedder's hands. */
export class FrozenRegion {
  constructor() {
    throw new TypeError('use Region.freeze()');
  }

  get size() {
    return held(this).size;
  }

  get length() {
    return held(this).length;
  }

  read(offset = 0, length = this.length - offset) {
    const value = held(this);
    value.checkRange(number(offset), number(length), value.length);
    return value.bytes().slice(Number(offset), Number(offset) + Number(length));
  }

  clone() {
    return made(FrozenRegion, held(this).another());
  }

  slice(offset, size) {
    const error = held(this).sliceError(offset, size);
    if (error) fail(error);
    return made(FrozenRegion, held(this).slice(Number(offset), Number(size)));
  }

  thaw() {
    return held(this).isLastReference ? made(Region, taken(this).thaw()) : null;
  }

  copy() {
    return made(Region, held(this).copy());
  }

  [DISPOSE]() {
    if (values.has(this)) taken(this).release();
  }

  dispose() {
    this[DISPOSE]();
  }
}

/** Guests that are charged together, and the interface that they import. */
export class Store {
  #books;
  #made;

  constructor(limits = {}) {
    this.#books = new Books(limits);
    this.#made = makeTypes(this.#books);
  }

  get types() {
    return this.#made.types;
  }

  get imports() {
    return { 'mappable:memory/types': this.types };
  }

  get usage() {
    return { ...this.#books.usage };
  }

  insert(region) {
    held(region);
    if (this.#books.isOver) throw new TypeError('the store was disposed of');
    return this.#made.insert(taken(region));
  }

  remove(object) {
    const value = this.#made.remove(object);
    return made(value.isFrozen ? FrozenRegion : Region, value);
  }

  [DISPOSE]() {
    this.#books.dispose();
  }

  dispose() {
    this[DISPOSE]();
  }
}

export { LONGEST_LIST, WitError };
