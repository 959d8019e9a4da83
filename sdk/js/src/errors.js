// The errors of all operations. Each has the name that the WIT package has for it, and its text says what to do. A call that throws one
// has changed nothing.

const ADVICE = {
  'invalid-region-size': 'ask for one byte at the least',
  'region-over-quota': 'it would exceed a quota that the host has set: drop() regions that are not needed any more, or run with a larger quota',
  'regions-exhausted': 'the host has no memory for a region of this size: drop() others, or ask for a smaller one',
  'part-misaligned': 'a part begins at a multiple of 65,536',
  'part-outside-region': 'a part is not empty, and inside the region',
  'range-outside-region': 'stay within `size`',
  'list-too-long': 'read fewer bytes at once: every host returns up to 1 MiB',
  'still-shared': 'there are other references to the bytes: drop() the clones and slices of them first, in every component',
  'not-neighbours': 'join the parts that split() has made of one region, in their order',
};

export class MappableError extends Error {
  constructor(error, detail = '') {
    super(`${error}: ${[detail, ADVICE[error] ?? ''].filter((part) => part !== '').join('; ')}`);
    this.name = new.target.name;
    this.error = error;
  }
}

/** The region is not yours any more, or is mapped. Passed on like this, the bindings' object traps: "unknown handle index". */
export class StateError extends MappableError {
  constructor(detail) {
    super('unknown handle', detail);
  }
}

/** Calls a function of the bindings, and makes its error one of the package's. */
export function call(work, detail, restore = () => {}) {
  try {
    return work();
  } catch (error) {
    const payload = error?.payload;
    if (payload === undefined) throw error;
    const name = restore(payload) ?? payload;
    throw new MappableError(name, detail);
  }
}
