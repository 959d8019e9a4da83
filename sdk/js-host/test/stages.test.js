// Stages as they are built, unchanged: they map where jco tells the placement, and copy where it doesn't.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Region, Store } from '../src/index.js';
import { component } from './support/transpiled.js';

const ROOT = new URL('../../../', import.meta.url);
const built = (name) => readFile(new URL(`guests/built/${name}.wasm`, ROOT));
const picture = await readFile(new URL('crates/mappable-cli/tests/data/rocket.jpg', ROOT));
const ENCODED = { pixels: 'encoded', width: 0, height: 0, size: BigInt(picture.length) };
const STAGES = [['decode', []], ['blur', ['2']], ['grayscale', []], ['encode', ['fast']]];
const LOWER = Symbol.for('cabiLower');

/** The picture through the stages, handed on as a region. */
async function throughRegions(importBindings) {
  const store = new Store();
  let maps = 0;
  const { map } = store.types.Mappable;
  const lower = map[LOWER];
  map[LOWER] = (options) => {
    const inner = lower(options);
    return (...args) => {
      maps += 1;
      inner(...args);
    };
  };
  let [region, header] = [store.insert(Region.from(picture)), ENCODED];
  for (const [name, args] of STAGES) {
    const instantiate = await component(await built(name), name, { importBindings });
    const { step } = await instantiate(store.imports);
    [region, header] = step.run(region, header, args);
  }
  const result = store.remove(region);
  assert.deepEqual(store.usage, { regions: 0, regionBytes: 0, mappings: 0, frozenMappedBytes: 0 });
  return { bytes: result.bytes.slice(0, Number(header.size)), maps };
}

async function throughLists() {
  let [bytes, header] = [picture, ENCODED];
  for (const [name, args] of STAGES) {
    const { copyingStep } = await (await component(await built(`${name}.copying`), name))({});
    [bytes, header] = copyingStep.run(bytes, header, args);
  }
  return bytes;
}

test('stages give the same picture by regions as by lists, mapped or not', async () => {
  const expected = await throughLists();
  const mapped = await throughRegions('hybrid');
  const copied = await throughRegions('js');
  assert(mapped.maps >= STAGES.length, 'every stage maps');
  assert.equal(copied.maps, 0);
  assert.deepEqual(Buffer.from(mapped.bytes), Buffer.from(expected));
  assert.deepEqual(Buffer.from(copied.bytes), Buffer.from(expected));
});

test('a stage\'s own error is an error, and the store has nothing of it', async () => {
  const store = new Store();
  const { step } = await (await component(await built('decode'), 'decode'))(store.imports);
  const region = store.insert(Region.from(new TextEncoder().encode('no picture')));
  assert.throws(() => step.run(region, { ...ENCODED, size: 10n }, []), /neither PNG nor JPEG/);
  assert.equal(store.usage.regions, 0);
});

test('stages that are guests of one store are charged together, and refused together', async () => {
  const store = new Store({ regionBytes: 1 << 16, regions: 1 });
  const { step } = await (await component(await built('decode'), 'decode'))(store.imports);
  assert.throws(() => step.run(store.insert(Region.from(picture)), ENCODED, []), /over the quota that the host has set/);
});
