// Mapping by copying. `map` puts the bytes into the guest's memory and keeps what they hide; `unmap` takes them out.
//
// A mapping that was dropped lingers: its bytes are shown until the next change in that memory. A region that lingered
// is retired then, and freed by the change after.

import { GRANULE } from './value.js';

/** A value that is shown in a memory. */
class Mount {
  lingers = false;

  constructor(at, value, isPrivate) {
    this.at = at;
    this.value = value;
    this.isPrivate = isPrivate;
    /** For whoever looks through all that handles stand for: this is no value. */
    this.mount = this;
    this.hidden = null;
  }

  get end() {
    return this.at + this.value.size;
  }

  /** What guests may write over frozen bytes, which is all of them where bytes are copied. */
  get charged() {
    return this.isPrivate ? this.value.size : 0;
  }

  get frozenBytes() {
    return this.value.isFrozen ? this.value.size : 0;
  }

  show(memory) {
    const shown = new Uint8Array(memory.buffer, this.at, this.value.size);
    if (this.value.isFrozen) {
      this.hidden = shown.slice();
      shown.set(this.value.bytes());
    } else {
      exchange(shown, this.value.bytes());
    }
  }

  /** The heap is back as it was. What was written over frozen bytes is lost; a region has what was written. */
  hide(memory) {
    const shown = new Uint8Array(memory.buffer, this.at, this.value.size);
    if (this.value.isFrozen) shown.set(this.hidden);
    else exchange(shown, this.value.bytes());
    this.hidden = null;
  }
}

const scratch = new Uint8Array(GRANULE);

/** A region's own bytes keep what it hides while it is mapped, so that nothing is allocated. */
function exchange(one, other) {
  for (let at = 0; at < one.length; at += GRANULE) {
    const [a, b] = [one.subarray(at, at + GRANULE), other.subarray(at, at + GRANULE)];
    scratch.set(a);
    a.set(b);
    b.set(scratch);
  }
}

class Mounts {
  mounts = [];
  retired = [];

  get lingering() {
    return this.mounts.filter((mount) => mount.lingers);
  }
}

export class Memories {
  #books;
  #of = new Map();

  constructor(books) {
    this.#books = books;
  }

  #mounts(memory) {
    if (!this.#of.has(memory)) this.#of.set(memory, new Mounts());
    return this.#of.get(memory);
  }

  /** All values that memories have. */
  all() {
    return [...this.#of.values()].flatMap(({ mounts, retired }) => [...mounts.map((it) => it.value), ...retired]);
  }

  clear() {
    this.#of.clear();
  }

  /** Why a value can't be mapped there, in the order that the specification has; `null` if it can. */
  mapError(memory, value, at, length, isPrivate) {
    const { mounts } = this.#mounts(memory);
    if (length === 0) return 'placement-misaligned';
    // What other threads may see can't be exchanged without them.
    if (!(memory.buffer instanceof ArrayBuffer)) return 'placement-unmappable';
    const copied = isPrivate ? value.size : 0;
    if (!this.#books.mayMap(value, this.#lingeringBut(memory)) || !this.#books.hasRoomForBytes(copied)) {
      return 'mapping-over-quota';
    }
    if (at % GRANULE !== 0 || length % GRANULE !== 0) return 'placement-misaligned';
    if (length < value.size) return 'placement-too-small';
    const overlaps = (mount) => !mount.lingers && mount.at < at + value.size && at < mount.end;
    return mounts.some(overlaps) ? 'placement-overlaps' : null;
  }

  /** What lingers in other memories of the store. */
  #lingeringBut(memory) {
    const lingering = [...this.#of].filter(([other]) => other !== memory).flatMap(([, mounts]) => mounts.lingering);
    const frozenBytes = lingering.reduce((sum, mount) => sum + mount.frozenBytes, 0);
    return { mappings: lingering.length, frozenBytes };
  }

  /** Shows a value of which `mapError` had nothing to say. */
  map(memory, value, at, isPrivate) {
    this.#startChange(memory);
    const mount = new Mount(at, value, isPrivate);
    mount.memory = memory;
    mount.show(memory);
    this.#mounts(memory).mounts.push(mount);
    const { usage } = this.#books;
    usage.mappings += 1;
    usage.frozenMappedBytes += mount.frozenBytes;
    usage.regionBytes += mount.charged;
    return mount;
  }

  /** Hides a value, and returns it. */
  unmap(mount) {
    const { memory } = mount;
    this.#startChange(memory);
    this.#endMapping(mount);
    this.#remove(mount);
    const { mounts, retired } = this.#mounts(memory);
    if (mounts.length === 0 && retired.length === 0) this.#of.delete(memory);
    return mount.value;
  }

  /** The handle of a mapping was dropped: nothing of what is shown changes. */
  drop(mount) {
    this.#endMapping(mount);
    mount.lingers = true;
  }

  #endMapping(mount) {
    const { usage } = this.#books;
    usage.mappings -= 1;
    usage.frozenMappedBytes -= mount.frozenBytes;
  }

  #remove(mount) {
    const of = this.#mounts(mount.memory);
    of.mounts = of.mounts.filter((other) => other !== mount);
    mount.hide(mount.memory);
    this.#books.usage.regionBytes -= mount.charged;
  }

  #startChange(memory) {
    const of = this.#mounts(memory);
    of.retired.forEach((value) => this.#books.discharge(value));
    of.retired = [];
    for (const mount of of.lingering) {
      this.#remove(mount);
      if (mount.value.isFrozen) {
        this.#books.discharge(mount.value);
        mount.value.release();
      } else {
        of.retired.push(mount.value);
      }
    }
  }
}
