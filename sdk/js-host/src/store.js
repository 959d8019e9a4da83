// What the guests of one store hold, what they are charged for it, and the memories that it is mapped into.

import { Memories } from './memory.js';
import { fail, number, trap } from './value.js';

const NONE = { regions: Infinity, regionBytes: Infinity, mappings: Infinity, frozenMappedBytes: Infinity };

/**
 * Representations: what jco's tables of handles have in place of a value. They are never used again, and are the same
 * for all stores, so that a handle of another store is one that isn't there.
 */
let lastRepresentation = 0;
/** jco marks its handles by this bit. */
const MOST_REPRESENTATIONS = 1 << 30;

export class Books {
  /** What handles stand for, by their representations: values, and the mounts of what is mapped. */
  #held = new Map();
  #limits;
  usage = { regions: 0, regionBytes: 0, mappings: 0, frozenMappedBytes: 0 };
  memories = new Memories(this);
  /** Whether the store was disposed of. Nothing can be held by it any more. */
  isOver = false;

  constructor(limits = {}) {
    const known = Object.keys(NONE);
    for (const [name, limit] of Object.entries(limits)) {
      if (!known.includes(name)) throw new TypeError(`no such limit: ${name}; there are ${known.join(', ')}`);
      if (!(limit >= 0)) throw new TypeError(`the limit ${name} is no number: ${limit}`);
    }
    this.#limits = { ...NONE, ...limits };
  }

  /** The representation of what a new handle stands for. */
  hold(held, representation = this.next()) {
    if (this.isOver) trap('the store was disposed of');
    this.#held.set(representation, held);
    return representation;
  }

  next() {
    lastRepresentation += 1;
    if (lastRepresentation >= MOST_REPRESENTATIONS) trap('as many handles as there can be were made');
    return lastRepresentation;
  }

  look(representation) {
    return this.#held.get(representation);
  }

  /** A handle is gone, or stands for something else. */
  forget(representation) {
    this.#held.delete(representation);
  }

  /** What a value that comes here is charged for. */
  charge(value) {
    this.usage.regions += 1;
    this.usage.regionBytes += this.#newlyKept(value, 1);
  }

  discharge(value) {
    this.usage.regions -= 1;
    this.usage.regionBytes -= this.#newlyKept(value, -1);
  }

  /** The bytes that the first reference to a block brings to a store, or the last one takes along. */
  #newlyKept({ block, size }, change) {
    if (!block) return size;
    const before = block.inStores.get(this) ?? 0;
    const after = before + change;
    if (after === 0) block.inStores.delete(this);
    else block.inStores.set(this, after);
    return before === 0 || after === 0 ? block.size : 0;
  }

  hasRoomForBytes(bytes) {
    return bytes === 0 || this.usage.regionBytes + bytes <= this.#limits.regionBytes;
  }

  /** Whether one region more may be held, of `bytes` that are not charged yet. */
  hasRoom(bytes) {
    return this.usage.regions < this.#limits.regions && this.hasRoomForBytes(bytes);
  }

  checkRoom(bytes) {
    if (!this.hasRoom(number(bytes))) fail('region-over-quota');
  }

  /** Whether a value may be mapped. What lingers in the memory itself doesn't count: it goes. */
  mayMap(value, lingering) {
    const frozen = this.usage.frozenMappedBytes + lingering.frozenBytes + value.size;
    if (value.isFrozen && frozen > this.#limits.frozenMappedBytes) return false;
    return this.usage.mappings + lingering.mappings < this.#limits.mappings;
  }

  /** Frees all that is held. */
  dispose() {
    if (this.isOver) return;
    this.isOver = true;
    const values = [...this.#held.values()].filter((held) => held.mount === undefined);
    for (const value of [...values, ...this.memories.all()]) {
      this.discharge(value);
      value.release();
    }
    this.#held.clear();
    this.memories.clear();
    this.usage = { regions: 0, regionBytes: 0, mappings: 0, frozenMappedBytes: 0 };
  }
}
