/** The size of a granule in bytes: 65,536. */
export const GRANULE: number;

/** A size, an offset or a length, in bytes. */
export type Bytes = number | bigint;

export type MapError =
  | 'placement-misaligned'
  | 'placement-too-small'
  | 'placement-overlaps'
  | 'placement-mismatch'
  | 'placement-unmappable'
  | 'mapping-over-quota'
  | 'mappings-exhausted';
export type AllocateError = 'invalid-region-size' | 'region-over-quota' | 'regions-exhausted';
export type PartError = 'part-misaligned' | 'part-outside-region' | 'region-over-quota';
export type AccessError = 'range-outside-region' | 'list-too-long';

/** An error of the WIT, thrown as jco expects it. Where an error gives handles back, they are in the payload too. */
export class WitError extends Error {
  readonly payload: unknown;
}

/** A region in the embedder's hands. */
export class Region {
  private constructor();
  /**
   * A new region of this length, all zero.
   * @throws {WitError} `invalid-region-size` for no bytes, `regions-exhausted` if the engine has no memory.
   */
  static allocate(length: Bytes): Region;
  /** A new region with a copy of these bytes. */
  static from(bytes: Uint8Array): Region;
  /** What it occupies: a multiple of the granule. */
  readonly size: number;
  /**
   * How many of its bytes count. It can be set to any number up to the size.
   * @throws {WitError} `range-outside-region`
   */
  length: number;
  /** The bytes that count. It is no copy, and not to be used when the region has been given away. */
  readonly bytes: Uint8Array;
  freeze(): FrozenRegion;
  /**
   * The first `at` bytes, and the rest.
   * @throws {WitError} `part-misaligned`, `part-outside-region`. The region is what it was.
   */
  split(at: Bytes): [Region, Region];
  /**
   * This region, and the one behind it in the same allocation.
   * @throws {RangeError} if they are no such neighbours. Both are what they were.
   */
  join(high: Region): Region;
  dispose(): void;
}

/** A reference to a frozen region in the embedder's hands. */
export class FrozenRegion {
  private constructor();
  readonly size: number;
  readonly length: number;
  /**
   * A copy of the bytes that count, or of some of them.
   * @throws {WitError} `range-outside-region`
   */
  read(offset?: Bytes, length?: Bytes): Uint8Array;
  clone(): FrozenRegion;
  /** @throws {WitError} `part-misaligned`, `part-outside-region` */
  slice(offset: Bytes, size: Bytes): FrozenRegion;
  /** The region, if this is the last reference to it; else `null`, and this is what it was. */
  thaw(): Region | null;
  copy(): Region;
  /** Gives the reference up. The region can't be thawed before. */
  dispose(): void;
}

/** What the guests of a store may hold. What is not given is not limited. */
export interface Limits {
  /** Regions and references. */
  regions?: number;
  /** Bytes of regions, of each frozen block once, and of private mappings. */
  regionBytes?: number;
  mappings?: number;
  /** Bytes of frozen mappings. */
  frozenMappedBytes?: number;
}

/** A region that a guest holds, or is about to be given: what jco's functions take and return. */
export interface Mappable {
  size(): bigint;
  len(): bigint;
}

/** A reference that a guest holds, or is about to be given. */
export interface Frozen {
  size(): bigint;
  len(): bigint;
}

/** Guests that are charged together and that hand regions to one another. */
export class Store {
  constructor(limits?: Limits);
  /** The interface `mappable:memory/types`. */
  readonly types: {
    granule(): number;
    Mappable: unknown;
    Mapping: unknown;
    Frozen: unknown;
    FrozenMapping: unknown;
  };
  /** The same by its name, for the `instantiate` that jco makes. */
  readonly imports: { 'mappable:memory/types': Store['types'] };
  /** What the guests are charged. */
  readonly usage: Required<Limits>;
  /** Gives a region to the store. What comes of it is passed to a guest. */
  insert(region: Region): Mappable & any;
  insert(frozen: FrozenRegion): Frozen & any;
  /** Takes what a guest has returned out of the store. */
  remove(object: Mappable | Frozen): any;
  /** Frees all that the guests hold. They can't be called any more. */
  dispose(): void;
}
