/** The size of a WebAssembly page. Sizes, and where parts begin, are multiples of it. */
export declare const GRANULE: 65536;

/** An object of the bindings for the resource `mappable`. */
export interface MappableHandle {
  size(): bigint;
  len(): bigint;
  setLen(len: bigint): void;
  read(offset: bigint, len: number): Uint8Array;
  write(offset: bigint, bytes: Uint8Array): void;
}

/** An object of the bindings for the resource `frozen`. */
export interface FrozenHandle {
  size(): bigint;
  len(): bigint;
  clone(): FrozenHandle;
  slice(offset: bigint, size: bigint): FrozenHandle;
  copy(): MappableHandle;
  read(offset: bigint, len: number): Uint8Array;
}

/** `error` is the name of the WIT package's error. The call has changed nothing. */
export declare class MappableError extends Error {
  readonly error: string;
}

/** The region is not yours any more, or is mapped. */
export declare class StateError extends MappableError {}

declare abstract class Held<Handle> {
  constructor(handle: Handle);
  /** The size in bytes: what it occupies, in whole granules. */
  get size(): number;
  /** How many of the bytes count. */
  get length(): number;
  /** Returns a copy of `count` bytes from `offset` on. Up to the length unless told. */
  read(offset?: number, count?: number): Uint8Array;
  /** Returns the object of the bindings, to be passed on or returned. Then this is used up. */
  handOver(): Handle;
  /** Drops the region, or the reference. Without it the host keeps it until JavaScript collects garbage, if ever. */
  drop(): void;
}

/** The bytes of a region, for as long as they are worked on: a copy, which `unmap` writes back. */
export declare class Mapped<Owner> {
  private constructor();
  get bytes(): Uint8Array;
  get isByCopy(): true;
  /** Writes the bytes back. Arrays that show them have the length 0 from here on. */
  unmap(): Owner;
  [Symbol.dispose](): void;
}

/** A region of memory that this component owns. */
export declare class Region extends Held<MappableHandle> {
  /** Makes a region of `length` bytes, all zero. */
  static allocate(length: number): Region;
  /** Makes a region with a copy of these bytes. */
  static of(bytes: Uint8Array): Region;
  /** Gives the bytes to a function, and writes them back when it returns or throws. */
  map<Result>(work: (bytes: Uint8Array) => Result): Result;
  map(): Mapped<Region>;
  /** Sets how many of the bytes count, up to the size. No byte changes. */
  setLength(length: number): void;
  /** Copies bytes into the region, from `offset` on. */
  write(offset: number, bytes: Uint8Array): void;
  /** Makes the bytes unchangeable. This region is used up. */
  freeze(): Frozen;
  /** Splits the region in two: its first `at` bytes, and the rest. This region is used up. */
  split(at: number): [Region, Region];
  /** Joins this region and its neighbour, as `split` left them. Both are used up. */
  join(high: Region): Region;
}

/** A reference to bytes that never change. */
export declare class Frozen extends Held<FrozenHandle> {
  /** Gives the bytes to a function. What is written to them changes nothing. */
  map<Result>(work: (bytes: Uint8Array) => Result): Result;
  map(): Mapped<Frozen>;
  clone(): Frozen;
  /** Makes a reference to `count` bytes from `offset` on, a multiple of 65,536. */
  slice(offset: number, count: number): Frozen;
  /** Makes a region that can be written, with a copy of the bytes. */
  copy(): Region;
  /** Makes a region of the bytes again, without copying. This reference must be the only one. */
  thaw(): Region;
}

/** For an export whose WIT type is a `result` with an error of type `string`: whatever it throws is that error. */
export declare function reported<Args extends unknown[], Result>(work: (...args: Args) => Result): (...args: Args) => Result;
