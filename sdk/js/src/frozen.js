import { Frozen as FrozenHandle } from 'mappable:memory/types@0.1.0';
import { MappableError, call } from './errors.js';
import { Held } from './held.js';
import { map } from './mapped.js';
import { Region } from './region.js';

/** A reference to bytes that never change, of this component's or another's. */
export class Frozen extends Held {
  /** Reads the bytes. What is written to them changes nothing. */
  map(work) {
    return map(this, false, work);
  }

  clone() {
    return new Frozen(call(() => this.borrow().clone()));
  }

  /** Makes a reference to `count` bytes from `offset` on, a multiple of 65,536. */
  slice(offset, count) {
    const handle = this.borrow();
    if (!(offset >= 0 && count > 0 && offset + count <= Number(handle.size()))) {
      throw new MappableError('part-outside-region', `${count} bytes from ${offset} on`);
    }
    return new Frozen(call(() => handle.slice(BigInt(offset), BigInt(count)), `${count} bytes from ${offset} on`));
  }

  /** Makes a region that can be written, with a copy of the bytes. */
  copy() {
    return new Region(call(() => this.borrow().copy()));
  }

  /** Makes a region of the bytes again, without copying. This reference must be the only one. */
  thaw() {
    const handle = this.take('was thawed: use the region that thaw() returned');
    const restore = (frozen) => {
      this.putBack(frozen);
      return 'still-shared';
    };
    return new Region(call(() => FrozenHandle.thaw(handle), '', restore));
  }
}
