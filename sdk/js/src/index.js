// Regions of memory that a component in JavaScript owns, works on and hands over. index.d.ts has the types.
export { MappableError, StateError } from './errors.js';
export { Frozen } from './frozen.js';
export { Mapped } from './mapped.js';
export { GRANULE, Region } from './region.js';
export { reported } from './report.js';
