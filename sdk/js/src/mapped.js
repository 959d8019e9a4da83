import { StateError } from './errors.js';

const MAPPED = 'is mapped: leave the function that map() was given, or call unmap(), before you map it again, hand it over or change it';

/**
 * The bytes of a region, for as long as they are worked on. They are a copy: componentize-js passes bytes to and from the host by copies,
 * so nothing can be mapped over its memory. `unmap` writes them back.
 */
export class Mapped {
  #owner;
  #bytes;
  #write;

  constructor(owner, write) {
    this.#bytes = owner.read();
    owner.take(MAPPED);
    this.#owner = owner;
    this.#write = write;
  }

  get bytes() {
    if (this.#bytes === undefined) throw new StateError('the region is not mapped any more: use its bytes before unmap()');
    return this.#bytes;
  }

  /** Whether the bytes are a copy. */
  get isByCopy() {
    return true;
  }

  /** Writes the bytes back, and makes the region its owner's again. Arrays that show the bytes have the length 0 from here on. */
  unmap() {
    const bytes = this.bytes;
    this.#owner.putBack();
    if (this.#write) this.#owner.write(0, bytes);
    this.#bytes = undefined;
    bytes.buffer.transfer();
    return this.#owner;
  }

  [Symbol.dispose]() {
    if (this.#bytes !== undefined) this.unmap();
  }
}

/** Maps, and unmaps when the function returns or throws, if there is one. */
export function map(owner, write, work) {
  const mapped = new Mapped(owner, write);
  if (work === undefined) return mapped;
  try {
    return work(mapped.bytes);
  } finally {
    mapped[Symbol.dispose]();
  }
}
