import { MappableError, StateError, call } from './errors.js';

// As many bytes as every host returns at once.
export const PIECE = 1 << 20;

/** What `Region` and `Frozen` have in common: an object of the bindings, and whether this component still has it. */
export class Held {
  #handle;
  // Where it is, if it is not here.
  #gone;

  constructor(handle) {
    this.#handle = handle;
  }

  /** The object, for a call that borrows it. */
  borrow() {
    if (this.#gone !== undefined) throw new StateError(`the region ${this.#gone}`);
    return this.#handle;
  }

  /** The object, for a call that consumes it. */
  take(gone) {
    const handle = this.borrow();
    this.#gone = gone;
    return handle;
  }

  putBack(handle = this.#handle) {
    this.#handle = handle;
    this.#gone = undefined;
  }

  /** Returns the object of the bindings, to be passed on or returned. Then this is used up. */
  handOver() {
    return this.take('was handed over: use it before handOver(), or have it handed back');
  }

  /** Drops the region, or the reference. Without it the host keeps it until JavaScript collects garbage, if ever. */
  drop() {
    this.take('was dropped')[Symbol.dispose]();
  }

  /** The size in bytes: what it occupies, in whole granules. */
  get size() {
    return Number(this.borrow().size());
  }

  /** How many of the bytes count. */
  get length() {
    return Number(this.borrow().len());
  }

  /** Returns a copy of `count` bytes from `offset` on. Up to the length unless told. */
  read(offset = 0, count = Math.max(this.length - offset, 0)) {
    const handle = this.borrow();
    inside(handle, offset, count);
    const bytes = new Uint8Array(count);
    for (let done = 0; done < count; done += PIECE) {
      const length = Math.min(PIECE, count - done);
      bytes.set(call(() => handle.read(BigInt(offset + done), length)), done);
    }
    return bytes;
  }
}

/** Throws the WIT package's error for a range that is not inside. The bindings take numbers modulo 2^64. */
export function inside(handle, offset, count) {
  const size = Number(handle.size());
  const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
  if (!isCount(offset) || !isCount(count) || offset + count > size) {
    throw new MappableError('range-outside-region', `${count} bytes from ${offset} on are not inside ${size} bytes`);
  }
}
