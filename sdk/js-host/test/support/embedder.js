// Does what the embedder does in the model's programs.

import assert from 'node:assert/strict';
import { FrozenRegion, GRANULE, Region, WitError } from '../../src/index.js';

const granules = (bytes) => Math.ceil(bytes / GRANULE);

/** What the embedder holds, by the model's numbers. */
export class Embedder {
  held = new Map();

  constructor(whole) {
    this.whole = whole;
  }

  take(number) {
    const found = this.held.get(number);
    assert(found, `the embedder has no ${number}`);
    this.held.delete(number);
    return found;
  }

  keep(item, [number]) {
    this.held.set(number, item);
    return { handles: [number] };
  }

  bytes(number) {
    const item = this.held.get(number);
    return item instanceof FrozenRegion ? item.read() : item.bytes;
  }

  /** Whether it is these bytes and no other, as far as its length goes. */
  holds(number, bytes, length) {
    const all = this.bytes(number);
    const expected = new Uint8Array(bytes.length * GRANULE);
    bytes.forEach((byte, at) => {
      if (this.whole) expected.fill(byte, at * GRANULE, (at + 1) * GRANULE);
      else expected[at * GRANULE] = byte;
    });
    const isAsLong = all.length === length && this.held.get(number).size === expected.length;
    return isAsLong && Buffer.compare(all, expected.subarray(0, length)) === 0;
  }

  perform(step, expected) {
    const item = this.held.get(step.handle);
    try {
      switch (step.op) {
        case 'allocate':
          return this.keep(Region.allocate(step.size), expected);
        case 'len':
          return { length: item.length };
        case 'set-len':
          item.length = step.len;
          return 'done';
        case 'freeze':
          return this.keep(this.take(step.handle).freeze(), expected);
        case 'thaw': {
          const region = item.thaw();
          if (!region) return 'given-back';
          this.take(step.handle);
          return this.keep(region, expected);
        }
        case 'clone':
          return this.keep(item.clone(), expected);
        case 'slice':
          return this.keep(item.slice(step.offset, step.size), expected);
        case 'copy':
          return this.keep(item.copy(), expected);
        case 'split': {
          const [low, high] = item.split(step.at);
          this.take(step.handle);
          const [first, second] = expected;
          return { handles: [...this.keep(low, [first]).handles, ...this.keep(high, [second]).handles] };
        }
        case 'join': {
          const [low, high] = [this.held.get(step.low), this.held.get(step.high)];
          let joined;
          try {
            joined = low.join(high);
          } catch (error) {
            if (error instanceof RangeError) return 'given-back';
            throw error;
          }
          this.take(step.low);
          this.take(step.high);
          return this.keep(joined, expected);
        }
        case 'read': {
          const all = this.bytes(step.handle);
          if (step.offset + step.len > all.length) return { error: 'range-outside-region' };
          const count = granules(step.offset + step.len) - granules(step.offset);
          return { bytes: Array.from({ length: count }, (_, at) => all[step.offset + at * GRANULE]) };
        }
        case 'write':
          return this.write(item, step);
        case 'drop':
          this.take(step.handle).dispose();
          return 'done';
        case 'pass':
          return this.keep(this.take(step.handle), expected);
        default:
          throw new Error(`unknown operation ${step.op}`);
      }
    } catch (error) {
      if (error instanceof WitError) return { error: error.payload };
      throw error;
    }
  }

  write(region, { offset, len, byte }) {
    const { length } = region;
    if (offset + len > length) return { error: 'range-outside-region' };
    // To its end a granule is one byte, behind the length as well.
    region.length = region.size;
    const end = this.whole ? granules(offset + len) * GRANULE : offset + len;
    if (this.whole) region.bytes.fill(byte, offset, end);
    else for (let at = offset; at < end; at += GRANULE) region.bytes[at] = byte;
    region.length = length;
    return 'done';
  }
}
