import { Mappable } from 'mappable:memory/types@0.1.0';
import { MappableError, StateError, call } from './errors.js';
import { Frozen } from './frozen.js';
import { Held, PIECE, inside } from './held.js';
import { map } from './mapped.js';

/** The size of a WebAssembly page. Sizes, and where parts begin, are multiples of it. */
export const GRANULE = 65536;

/** A region of memory that this component owns: `new Region(handle)` of an object of the bindings, or `Region.allocate(length)`. */
export class Region extends Held {
  /** Makes a region of `length` bytes, all zero. */
  static allocate(length) {
    if (!(Number.isSafeInteger(length) && length > 0)) throw new MappableError('invalid-region-size', `${length} bytes`);
    return new Region(call(() => Mappable.allocate(BigInt(length)), `${length} bytes`));
  }

  /** Makes a region with a copy of these bytes. */
  static of(bytes) {
    const region = Region.allocate(bytes.length);
    region.write(0, bytes);
    return region;
  }

  /** Sets how many of the bytes count, up to the size. No byte changes. */
  setLength(length) {
    const handle = this.borrow();
    inside(handle, 0, length);
    call(() => handle.setLen(BigInt(length)));
  }

  /**
   * `region.map((bytes) => …)` gives the bytes to a function, and writes them back when it returns or throws. Without a function it returns
   * a `Mapped`, whose `unmap()` does that.
   */
  map(work) {
    return map(this, true, work);
  }

  /** Copies bytes into the region, from `offset` on. */
  write(offset, bytes) {
    const handle = this.borrow();
    inside(handle, offset, bytes.length);
    for (let done = 0; done < bytes.length; done += PIECE) {
      call(() => handle.write(BigInt(offset + done), bytes.subarray(done, done + PIECE)));
    }
  }

  /** Makes the bytes unchangeable. This region is used up. */
  freeze() {
    return new Frozen(Mappable.freeze(this.take('was frozen: use what freeze() returned')));
  }

  /** Splits the region in two: its first `at` bytes, and the rest. This region is used up. */
  split(at) {
    const size = this.size;
    if (!(Number.isSafeInteger(at) && at > 0 && at < size)) {
      throw new MappableError('part-outside-region', `a split at ${at} of ${size} bytes`);
    }
    const handle = this.take('was split: use its parts');
    const restore = ([region, error]) => {
      this.putBack(region);
      return error;
    };
    const [low, high] = call(() => Mappable.split(handle, BigInt(at)), `a split at ${at}`, restore);
    return [new Region(low), new Region(high)];
  }

  /** Joins this region and its neighbour, as `split` left them. Both are used up. */
  join(high) {
    if (high === this) throw new StateError("the region can't be joined with itself");
    high.borrow();
    const gone = 'was joined: use what join() returned';
    const handles = [this.take(gone), high.take(gone)];
    const restore = ([low, other]) => {
      this.putBack(low);
      high.putBack(other);
      return 'not-neighbours';
    };
    return new Region(call(() => Mappable.join(...handles), '', restore));
  }
}
