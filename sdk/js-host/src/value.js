// What is handed around: regions, and references to frozen blocks. Each is an extent of an allocation.

/** The size of a granule in bytes: a page of WebAssembly. */
export const GRANULE = 65_536;

/** The most bytes that one `read` of a guest returns. */
export const LONGEST_LIST = 1 << 20;

/** What a guest can't do by mistake in a correct program. It is no error of the WIT: the call traps. */
export const trap = (message) => {
  throw new WebAssembly.RuntimeError(message);
};

/** An error of the WIT. jco passes `payload` to the guest. */
export class WitError extends Error {
  constructor(payload) {
    super(String(Array.isArray(payload) ? payload.at(-1) : payload));
    this.name = 'WitError';
    this.payload = payload;
  }
}

export const fail = (payload) => {
  throw new WitError(payload);
};

/** Rounds up to whole granules. */
export const granular = (bytes) => Math.ceil(bytes / GRANULE) * GRANULE;

/** A number of the WIT, which jco passes as a BigInt and people as they like. One that is not exact is too large for anything. */
export const number = (value) => {
  const exact = Number(value);
  return Number.isSafeInteger(exact) && exact >= 0 ? exact : Infinity;
};

const isMultiple = (value) => BigInt(value) % BigInt(GRANULE) === 0n;

/**
 * What was frozen in one step. It is there as long as a reference is.
 *
 * `inStores` counts the references that each store is charged for: a store is charged for the block once, and in full.
 */
export class Block {
  references = 0;
  inStores = new Map();

  constructor(size) {
    this.size = size;
  }
}

/**
 * A region, or a reference to (a part of) a frozen block. `size` is what it occupies, in whole granules; `length` is
 * how many of its bytes count.
 */
export class Value {
  constructor(memory, start, size, length, block = null) {
    /** The bytes of the allocation. Neighbours are parts of the same. */
    this.memory = memory;
    this.start = start;
    this.size = size;
    this.length = length;
    /** The block that it refers to, if it is frozen. */
    this.block = block;
    if (block) block.references += 1;
  }

  static allocate(length) {
    const size = granular(length);
    try {
      return new Value(new Uint8Array(size), 0, size, length);
    } catch (error) {
      // An engine says so by a RangeError; nothing else can be wrong with a size.
      if (error instanceof RangeError) fail('regions-exhausted');
      throw error;
    }
  }

  get isFrozen() {
    return this.block !== null;
  }

  /** All its bytes, those behind the length too. It is no copy. */
  bytes() {
    return this.memory.subarray(this.start, this.start + this.size);
  }

  /** It goes for good, or is another value from now on. */
  release() {
    if (this.block) this.block.references -= 1;
  }

  freeze() {
    return new Value(this.memory, this.start, this.size, this.length, new Block(this.size));
  }

  get isLastReference() {
    return this.block.references === 1;
  }

  thaw() {
    this.release();
    return new Value(this.memory, this.start, this.size, this.length);
  }

  another() {
    return new Value(this.memory, this.start, this.size, this.length, this.block);
  }

  /** A reference to the granules of `size` bytes from `offset` on. As many of those bytes count as do here. */
  slice(offset, size) {
    const length = Math.min(size, Math.max(0, this.length - offset));
    return new Value(this.memory, this.start + offset, granular(size), length, this.block);
  }

  copy() {
    const copy = Value.allocate(this.size);
    copy.memory.set(this.bytes());
    copy.length = this.length;
    return copy;
  }

  split(at) {
    const low = new Value(this.memory, this.start, at, Math.min(this.length, at));
    const high = new Value(this.memory, this.start + at, this.size - at, Math.max(0, this.length - at));
    return [low, high];
  }

  isFollowedBy(other) {
    return this.memory === other.memory && this.start + this.size === other.start;
  }

  /** The length ends where the last byte that counts does. */
  join(high) {
    const length = high.length > 0 ? this.size + high.length : this.length;
    return new Value(this.memory, this.start, this.size + high.size, length);
  }

  checkRange(offset, length, end = this.size) {
    if (offset + length > end) fail('range-outside-region');
  }

  setLength(length) {
    this.checkRange(0, length);
    this.length = length;
  }

  /** Why it can't be split there, if it can't. */
  splitError(at) {
    if (!isMultiple(at)) return 'part-misaligned';
    return number(at) === 0 || number(at) >= this.size ? 'part-outside-region' : null;
  }

  /** Why there can be no slice of that, if there can't. */
  sliceError(offset, size) {
    if (!isMultiple(offset)) return 'part-misaligned';
    return number(size) === 0 || number(offset) + number(size) > this.size ? 'part-outside-region' : null;
  }
}
