export { FrozenRegion, Region, Store, WitError } from './host.js';
export { GRANULE } from './value.js';
