import { Store } from './index.js';

/** The one store of all components that import this module. */
export const store: Store;
export const granule: () => number;
export const Mappable: any;
export const Mapping: any;
export const Frozen: any;
export const FrozenMapping: any;
