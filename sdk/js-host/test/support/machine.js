// Does the operations of the model's programs: by guests that run by jco, and by the embedder.

import assert from 'node:assert/strict';
import { FrozenRegion, GRANULE, Store } from '../../src/index.js';
import { Embedder } from './embedder.js';

/** The model's granule 0 is this one of a guest's. Below, guests have their results, and `SCRATCH`. */
const FIRST = 4;
/** Room for lists, as long as the longest. */
const SCRATCH = GRANULE;
/** Which guest of which store: two that are linked, and one alone. */
export const INSTANCES = [[0, 'a'], [0, 'b'], [1, 'a']];

const MAP_ERRORS = ['placement-misaligned', 'placement-too-small', 'placement-overlaps', 'placement-mismatch',
  'placement-unmappable', 'mapping-over-quota', 'mappings-exhausted'];
const ALLOCATE_ERRORS = ['invalid-region-size', 'region-over-quota', 'regions-exhausted'];
const PART_ERRORS = ['part-misaligned', 'part-outside-region', 'region-over-quota'];
const ACCESS_ERRORS = ['range-outside-region', 'list-too-long'];

const KINDS = ['mappable', 'frozen', 'mapping', 'frozen-mapping'];

const granules = (bytes) => Math.ceil(bytes / GRANULE);
const place = (granule) => (FIRST + granule) * GRANULE;
const address = (offset) => FIRST * GRANULE + offset;
const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

/** What a call of a guest's ended with, if it was a trap. */
class Trapped extends Error {}

/** A guest, and its handles by the model's numbers. */
class Guest {
  handles = new Map();
  #stale = 100;

  constructor(exports, prefix, whole) {
    this.exports = exports;
    this.prefix = prefix;
    this.whole = whole;
  }

  call(name, ...args) {
    const found = this.exports[camel(`${this.prefix}-${name}`)];
    assert(found, `no function ${name}`);
    try {
      return found(...args);
    } catch (error) {
      // A list that jco can't put where the guest says is a trap of this kind.
      const isOutside = name === 'deliver' && error instanceof RangeError;
      if (isOutside || error instanceof WebAssembly.RuntimeError) throw new Trapped(error.message, { cause: error });
      throw error;
    }
  }

  /**
   * Takes a handle by its number. If there is none, an index that the guest has not: an old one, if it may be. jco has a
   * table for each type, so an index of one may be another's; what is of none of these kinds is an index of no table.
   */
  take(number, ...kinds) {
    const found = this.handles.get(number);
    if (found) {
      this.handles.delete(number);
      this.#stale = found.at;
      return kinds.includes(found.kind) ? found : { at: 1_000_000, kind: kinds[0] };
    }
    const isUsed = [...this.handles.values()].some(({ at }) => at === this.#stale);
    return { at: isUsed ? 1_000_000 : this.#stale, kind: kinds[0] };
  }

  index(number, ...kinds) {
    const found = this.handles.get(number);
    return found && kinds.includes(found.kind) ? found : this.take(number, ...kinds);
  }

  keep(at, kind, [number, ...rest]) {
    // Where no handle is expected, that is not what was expected, whatever its number.
    if (number === undefined || rest.length > 0) return { handles: [`another: ${at}`] };
    this.handles.set(number, { at, kind });
    return { handles: [number] };
  }

  /** The same for functions of which jco doesn't look whether a borrowed handle is there. */
  known(number, kind) {
    const found = this.handles.get(number);
    return found?.kind === kind ? found.at : 1_000_000;
  }

  back(pairs, kind, outcome) {
    pairs.forEach(([number, at]) => this.handles.set(number, { at, kind }));
    return outcome;
  }

  swapped(answer, number, before, after, expected) {
    const [at, error] = [Number(answer & 0xffff_ffffn), Number(answer >> 32n)];
    if (error === 0) return this.keep(at, after, expected);
    return this.back([[number, at]], before, { error: MAP_ERRORS[error - 1] });
  }

  made(answer, errors, kind, expected) {
    if (answer < 0n) return { error: errors[Number(-1n - answer)] };
    return this.keep(Number(answer), kind, expected);
  }

  both(answer) {
    const [low, high] = [Number(answer & 0xffff_ffffn), Number((answer >> 32n) & 0x7fff_ffffn)];
    return { low, high, isError: answer >> 63n !== 0n };
  }

  paint(at, length, byte) {
    this.call('paint', at, length, byte, this.whole ? 1 : 0);
  }

  /** The first bytes of granules. */
  firsts(at, count) {
    const bytes = [];
    for (let begin = 0; begin < count; begin += 8) {
      let eight = this.call('firsts', at + begin * GRANULE, Math.min(count - begin, 8));
      for (let some = Math.min(count - begin, 8); some > 0; some -= 1, eight >>= 8n) bytes.push(Number(eight & 0xffn));
    }
    return bytes;
  }

  read(number, offset, length) {
    const { at, kind } = this.index(number, 'mappable', 'frozen');
    const answer = this.call(kind === 'frozen' ? 'read-frozen' : 'read', at, BigInt(offset), length, SCRATCH);
    if (answer < 0n) return { error: ACCESS_ERRORS[Number(-1n - answer)] };
    assert.equal(Number(answer), length);
    return { bytes: this.firsts(SCRATCH, granules(length)) };
  }

  length(number) {
    const { at, kind } = this.index(number, 'mappable', 'frozen');
    return Number(this.call(kind === 'frozen' ? 'len-frozen' : 'len', at));
  }

  /** Whether bytes from an address on are these and no other: the first of each granule, and the others as they were written. */
  isAt(at, bytes) {
    return bytes.every((byte, granule) => {
      const [from, rest] = [at + granule * GRANULE, this.whole ? byte : 0];
      const isUniform = (at, length) => this.call('uniform', at, length, rest) === 1;
      return this.call('load8', from) === byte && isUniform(from + 1, GRANULE - 16) && isUniform(from + GRANULE - 16, 16);
    });
  }

  perform(step, expected) {
    const [handle, offset] = [step.handle, step.offset === undefined ? undefined : BigInt(step.offset)];
    switch (step.op) {
      case 'allocate':
        return this.made(this.call('allocate', BigInt(step.size)), ALLOCATE_ERRORS, 'mappable', expected);
      case 'len':
        return { length: this.length(handle) };
      case 'set-len': {
        const answer = this.call('set-len', this.index(handle, 'mappable').at, BigInt(step.len));
        return answer === 0n ? 'done' : { error: ACCESS_ERRORS[Number(-1n - answer)] };
      }
      case 'map':
      case 'map-private': {
        const isPrivate = step.op === 'map-private';
        const { at, kind } = this.take(handle, 'frozen', ...(isPrivate ? [] : ['mappable']));
        const [name, mapped] = kind === 'frozen' ? ['map-frozen', 'frozen-mapping'] : ['map', 'mapping'];
        const answer = this.call(isPrivate ? 'map-private' : name, at, address(step.offset), step.len);
        return this.swapped(answer, handle, kind, mapped, expected);
      }
      case 'unmap': {
        const { at, kind } = this.take(handle, 'mapping', 'frozen-mapping');
        const [name, unmapped] = kind === 'frozen-mapping' ? ['unmap-frozen', 'frozen'] : ['unmap', 'mappable'];
        return this.swapped(this.call(name, at, address(step.offset), step.len), handle, kind, unmapped, expected);
      }
      case 'freeze':
        return this.keep(this.call('freeze', this.take(handle, 'mappable').at), 'frozen', expected);
      case 'thaw': {
        const { at, kind } = this.take(handle, 'frozen');
        const { low, isError } = this.both(this.call('thaw', at));
        return isError ? this.back([[handle, low]], kind, 'given-back') : this.keep(low, 'mappable', expected);
      }
      case 'clone':
        return this.made(this.call('clone', this.known(handle, 'frozen')), ALLOCATE_ERRORS, 'frozen', expected);
      case 'copy':
        return this.made(this.call('copy-frozen', this.known(handle, 'frozen')), ALLOCATE_ERRORS, 'mappable', expected);
      case 'slice': {
        const answer = this.call('slice', this.known(handle, 'frozen'), offset, BigInt(step.size));
        return this.made(answer, PART_ERRORS, 'frozen', expected);
      }
      case 'split': {
        const { at, kind } = this.take(handle, 'mappable');
        const { low, high, isError } = this.both(this.call('split', at, BigInt(step.at)));
        if (isError) return this.back([[handle, low]], kind, { error: PART_ERRORS[high] });
        const [first, second] = expected;
        return { handles: [...this.keep(low, kind, [first]).handles, ...this.keep(high, kind, [second]).handles] };
      }
      case 'join': {
        // The same handle twice is one that is gone, the second time.
        const [first, second] = [this.index(step.low, 'mappable'), this.index(step.high, 'mappable')];
        this.take(step.low, 'mappable');
        this.take(step.high, 'mappable');
        const { low, high, isError } = this.both(this.call('join', first.at, second.at));
        if (isError) return this.back([[step.low, low], [step.high, high]], 'mappable', 'given-back');
        return this.keep(low, 'mappable', expected);
      }
      case 'read':
        return this.read(handle, step.offset, step.len);
      case 'write': {
        // To its end a granule is one byte, in a region as well.
        const length = this.whole ? granules(step.len) * GRANULE : step.len;
        this.paint(SCRATCH, length, step.byte);
        const answer = this.call('write', this.index(handle, 'mappable').at, offset, SCRATCH, length);
        return answer === 0n ? 'done' : { error: ACCESS_ERRORS[Number(-1n - answer)] };
      }
      case 'drop': {
        const { at, kind } = this.take(handle, ...KINDS);
        this.call(`drop-${kind}`, at);
        return 'done';
      }
      case 'load':
        return { bytes: [this.call('load8', place(step.granule))] };
      case 'store':
        this.paint(place(step.granule), GRANULE, step.byte);
        return 'done';
      case 'deliver':
        this.call('set-buffer', place(step.granule));
        this.call('deliver', new Uint8Array(this.whole ? GRANULE : 1).fill(step.byte));
        return 'done';
      case 'grow': {
        const pages = this.call('grow', step.granules);
        return { grown: pages === -1 ? null : pages - FIRST };
      }
      case 'trap':
        return { bytes: [this.call('load8', 0xffff_ffff)] };
      default:
        throw new Error(`unknown operation ${step.op}`);
    }
  }
}

/** The stores of a program, their guests, and the embedder. */
export class Machine {
  static async start({ limits, whole }, { guest, pair }) {
    const machine = new Machine();
    machine.stores = [new Store(limits), new Store(limits)];
    const env = { sum: () => 0n, callBack: () => {} };
    const exports = await Promise.all([pair, guest].map((instantiate, store) =>
      instantiate({ ...machine.stores[store].imports, 'test:host/env': env })));
    machine.guests = INSTANCES.map(([store, prefix]) => new Guest(exports[store], prefix, whole));
    machine.embedder = new Embedder(whole);
    return machine;
  }

  /** Does one operation. What it returns is to be what the model has. */
  perform(step) {
    const expected = step.outcome.handles ?? [];
    try {
      if (step.op === 'drop-store') {
        this.stores[step.store].dispose();
        return 'done';
      }
      if (step.op === 'pass') return this.pass(step, expected);
      return this.holder(step.by).perform(step, expected);
    } catch (error) {
      if (error instanceof Trapped) { this.trap = error; return 'trap'; }
      throw error;
    }
  }

  holder(by) {
    return by === 'host' ? this.embedder : this.guests[by];
  }

  /** By a call of the first guest to the second where there is one for it, or by way of the embedder. */
  pass(step, expected) {
    const { by: from, to } = step;
    if (from === 'host' && to === 'host') return this.embedder.perform(step, expected);
    if (from === 'host') {
      const item = this.embedder.take(step.handle);
      return this.accept(to, this.stores[INSTANCES[to][0]].insert(item), item, expected);
    }
    const { at, kind } = this.guests[from].take(step.handle, ...KINDS);
    const suffix = kind === 'mappable' ? '' : `-${kind}`;
    if (from === 0 && to === 1) return this.guests[1].keep(this.guests[0].call(`pass${suffix}`, at), kind, expected);
    if (from === 1 && to === 0) return this.guests[0].keep(this.guests[0].call(`fetch${suffix}`, at), kind, expected);
    const given = this.guests[from].call(`give${suffix}`, at);
    if (from === to) return this.guests[to].keep(this.guests[to].call(`take${suffix}`, given), kind, expected);
    return this.embedder.keep(this.stores[INSTANCES[from][0]].remove(given), expected);
  }

  accept(to, object, item, expected) {
    const kind = item instanceof FrozenRegion ? 'frozen' : 'mappable';
    const at = this.guests[to].call(kind === 'frozen' ? 'take-frozen' : 'take', object);
    return this.guests[to].keep(at, kind, expected);
  }

  /** Compares all that is held and shown. */
  compare(world) {
    world.usage.forEach((usage, store) => assert.deepEqual(this.stores[store].usage, usage, `usage of store ${store}`));
    world.host.forEach(([handle, bytes, length]) =>
      assert(this.embedder.holds(handle, bytes, length), `the embedder's ${handle}`));
    world.instances.forEach((expected, number) => {
      if (!expected) return;
      const guest = this.guests[number];
      for (const [handle, bytes, length] of expected.handles) {
        assert.equal(guest.length(handle), length, `the length of ${handle} of guest ${number}`);
        assert.deepEqual(guest.read(handle, 0, bytes.length * GRANULE), { bytes }, `${handle} of guest ${number}`);
        assert(guest.isAt(SCRATCH, bytes), `all bytes of ${handle} of guest ${number}`);
      }
      assert(guest.isAt(place(0), expected.shown), `what the memory of guest ${number} shows`);
    });
  }
}
