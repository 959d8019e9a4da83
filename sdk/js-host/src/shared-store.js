// The interface for components that import it as a module (`jco transpile --map`): all of them are in one store.

import { Store } from './host.js';

export const store = new Store();
export const { granule, Mappable, Mapping, Frozen, FrozenMapping } = store.types;
