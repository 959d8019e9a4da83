// What someone writes who has the package's types. It is compiled, not run.

import { FrozenRegion, GRANULE, Region, Store, WitError } from 'mappable-js-host';
import { store as shared } from 'mappable-js-host/types';

const store = new Store({ regionBytes: 1 << 20 });
const region: Region = Region.from(new Uint8Array(3));
const frozen: FrozenRegion = region.freeze();
const back: Region | null = frozen.slice(0, 5n).thaw();
const inside = store.insert(frozen);
const outside: Region | FrozenRegion = store.remove(inside);
const held: number = store.usage.regions + GRANULE + shared.usage.mappings;
try {
  Region.allocate(0);
} catch (error) {
  if (error instanceof WitError) console.log(error.payload, back, outside, held);
}
// @ts-expect-error: there is no such limit
new Store({ region: 1 });
// @ts-expect-error: the size of a region is what it is
region.size = 3;
