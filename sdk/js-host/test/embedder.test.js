// What an embedder does, and what it is told where that can't be.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { FrozenRegion, GRANULE, Region, Store, WitError } from '../src/index.js';

const is = (payload) => (error) => error instanceof WitError && error.payload === payload;

test('a region of any length occupies whole granules, all zero', () => {
  const region = Region.allocate(GRANULE + 1);
  assert.equal(region.size, 2 * GRANULE);
  assert.equal(region.bytes.length, GRANULE + 1);
  assert(region.bytes.every((byte) => byte === 0));
  assert.throws(() => Region.allocate(0), is('invalid-region-size'));
  assert.throws(() => Region.allocate(2n ** 60n), is('regions-exhausted'));
  assert.throws(() => { region.length = region.size + 1; }, is('range-outside-region'));
});

test('a frozen region is thawed by its last reference alone', () => {
  const frozen = Region.from(new Uint8Array([1, 2, 3])).freeze();
  const clone = frozen.clone();
  assert.equal(frozen.thaw(), null);
  clone.dispose();
  clone.dispose();
  assert.deepEqual([...frozen.read(1)], [2, 3]);
  const region = frozen.thaw();
  assert(region instanceof Region);
  assert.deepEqual([...region.bytes], [1, 2, 3]);
  assert.throws(() => frozen.read(), TypeError);
});

test('what was read of a frozen region is a copy', () => {
  const frozen = Region.from(new Uint8Array([1])).freeze();
  frozen.read()[0] = 7;
  assert.equal(frozen.read()[0], 1);
});

test('parts end and begin at granules, and only neighbours are joined', () => {
  const region = Region.allocate(2 * GRANULE);
  assert.throws(() => region.split(1), is('part-misaligned'));
  assert.throws(() => region.split(2n ** 60n + 1n), is('part-misaligned'));
  assert.throws(() => region.split(2 * GRANULE), is('part-outside-region'));
  const [low, high] = region.split(GRANULE);
  assert.throws(() => high.join(low), RangeError);
  assert.equal(low.join(high).size, 2 * GRANULE);
  assert.throws(() => low.bytes, TypeError);
});

test('what is joined is as long as its last byte that counts, and parts have the bytes that counted', () => {
  const region = Region.allocate(GRANULE + 7);
  const [low, high] = region.split(GRANULE);
  assert.deepEqual([low.length, high.length], [GRANULE, 7]);
  low.length = 1;
  const joined = low.join(high);
  assert.equal(joined.length, GRANULE + 7);
  const [first, second] = joined.split(GRANULE);
  [first.length, second.length] = [2, 0];
  assert.equal(first.join(second).length, 2);
});

test('a region is in one place: with the embedder or in a store', () => {
  const [store, other] = [new Store(), new Store()];
  const region = Region.from(new Uint8Array([5]));
  const inside = store.insert(region);
  assert.throws(() => region.bytes, /given away/);
  assert.throws(() => store.insert(region), TypeError);
  assert.throws(() => other.remove(inside), /another store/);
  assert.deepEqual(store.usage, { regions: 1, regionBytes: GRANULE, mappings: 0, frozenMappedBytes: 0 });
  const back = store.remove(inside);
  assert.equal(back.bytes[0], 5);
  assert.throws(() => store.remove(inside), WebAssembly.RuntimeError);
});

test('a block counts once for each store, and its references everywhere keep it frozen', () => {
  const [store, other] = [new Store(), new Store()];
  const frozen = Region.allocate(3 * GRANULE).freeze();
  const inside = store.insert(frozen.clone());
  store.insert(frozen.slice(0, 1));
  other.insert(frozen.clone());
  assert.deepEqual([store.usage.regionBytes, store.usage.regions], [3 * GRANULE, 2]);
  assert.equal(other.usage.regionBytes, 3 * GRANULE);
  other.dispose();
  assert.equal(frozen.thaw(), null);
  store.dispose();
  assert.throws(() => store.insert(frozen), /disposed/);
  assert.throws(() => store.remove(inside), WebAssembly.RuntimeError);
  assert(frozen.thaw() instanceof Region);
});

test('quotas are for guests: what is put in is counted and never refused', () => {
  const store = new Store({ regions: 1, regionBytes: GRANULE });
  store.insert(Region.allocate(5 * GRANULE));
  store.insert(Region.allocate(1));
  assert.throws(() => store.types.Mappable.allocate(1n), is('region-over-quota'));
});

test('a limit that there is not, or that is no number, is refused', () => {
  assert.throws(() => new Store({ region: 1 }), /no such limit: region; there are regions, regionBytes/);
  assert.throws(() => new Store({ regions: '?' }), /is no number/);
});

test('where jco tells no placement, map says so and gives the region back', () => {
  const { types } = new Store();
  const region = types.Mappable.allocate(1n);
  const payload = (at) => {
    try {
      types.Mappable.map(region, at);
    } catch (error) {
      return error.payload;
    }
    return null;
  };
  assert.deepEqual(payload(new Uint8Array(1)), [region, 'placement-unmappable']);
  assert.deepEqual(payload(new Uint8Array(0)), [region, 'placement-misaligned']);
  assert.equal(region.size(), BigInt(GRANULE));
});

test('a memory of several threads can\'t be mapped into, and nothing has changed', () => {
  const store = new Store();
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const { map, table, mapped } = lowered(store, memory);
  const handle = put(table, store.insert(Region.allocate(1)));
  map(handle, GRANULE, GRANULE, 16);
  const view = new DataView(memory.buffer);
  assert.deepEqual([view.getUint8(16), view.getUint32(20, true), view.getUint8(24)], [1, handle, 4]);
  assert.equal(mapped.length, 2);
});

test('map traps for what no correct program does', () => {
  const store = new Store();
  const memory = new WebAssembly.Memory({ initial: 4 });
  const { map, table } = lowered(store, memory);
  const handle = put(table, store.insert(Region.allocate(1)));
  assert.throws(() => map(9, GRANULE, GRANULE, 16), /unknown handle index 9/);
  assert.throws(() => map(0, GRANULE, GRANULE, 16), /unknown handle index 0/);
  assert.throws(() => map(handle, 3 * GRANULE, 2 * GRANULE, 16), /out-of-bounds/);
  assert.throws(() => map(handle, GRANULE, GRANULE, 17), /unaligned pointer 17/);
});

test('a lent region can\'t be mapped', () => {
  const store = new Store();
  const { map, table } = lowered(store, new WebAssembly.Memory({ initial: 4 }));
  const handle = put(table, store.insert(Region.allocate(1)));
  table[handle * 2] = 1;
  assert.throws(() => map(handle, GRANULE, GRANULE, 16), /while borrowed/);
  table[handle * 2] = 0;
  table[handle * 2 + 1] &= ~(1 << 30);
  assert.throws(() => map(handle, GRANULE, GRANULE, 16), /from a borrow/);
});

test('tables of handles that are laid out in another way are refused, not guessed at', () => {
  const lower = new Store().types.Mappable.map[Symbol.for('cabiLower')];
  assert.throws(() => lower({ memory: new WebAssembly.Memory({ initial: 1 }) }), /not as in the versions of jco/);
  assert.throws(() => lower({ resourceTables: [new Map(), new Map()] }), /not as in the versions of jco/);
});

test('the package has what its types declare', async () => {
  const declared = async (name) => {
    const text = await readFile(new URL(`../src/${name}.d.ts`, import.meta.url), 'utf8');
    return [...text.matchAll(/^export (?:class|const) (\w+)/gm)].map(([, name]) => name).sort();
  };
  for (const name of ['index', 'shared-store']) {
    const module = await import(`../src/${name}.js`);
    assert.deepEqual(await declared(name), Object.keys(module).sort());
  }
  assert.equal(typeof FrozenRegion.prototype.read, 'function');
});

/** `map` as jco's output has it, and the tables that it has for it. */
function lowered(store, memory) {
  const tables = [[1 << 30, 0], [1 << 30, 0]];
  const map = store.types.Mappable.map[Symbol.for('cabiLower')]({ memory, resourceTables: tables });
  return { map, table: tables[0], mapped: tables[1] };
}

function put(table, object) {
  table.push(0, object[Symbol.for('cabiRep')] | (1 << 30));
  return (table.length >> 1) - 1;
}
