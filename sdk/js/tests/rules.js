// The rules that the package keeps, each a test.
import { Frozen, GRANULE, MappableError, Region, StateError, reported } from '../src/index.js';

function assert(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}

/** Calls it, and checks the error and that its text has the words. */
function throws(kind, call, ...words) {
  let thrown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  assert(thrown instanceof kind, `${kind.name} was thrown, but ${thrown}`);
  for (const word of words) assert(thrown.message.includes(word), `"${word}" is in "${thrown.message}"`);
  return thrown;
}

const bytesOf = (text) => new TextEncoder().encode(text);
const text = (bytes) => new TextDecoder().decode(bytes);

export const rules = {
  'it gives the bytes and writes them back'() {
    const region = Region.of(bytesOf('hello'));
    assert(region.length === 5 && region.size === GRANULE, `${region.length} of ${region.size}`);
    const result = region.map((bytes) => {
      assert(bytes instanceof Uint8Array && text(bytes) === 'hello', text(bytes));
      bytes[0] = 'j'.charCodeAt(0);
      return 7;
    });
    assert(result === 7 && text(region.read()) === 'jello', text(region.read()));
    const mapped = region.map();
    assert(mapped.isByCopy, 'it says that it copies');
    const { bytes } = mapped;
    bytes[1] = 'E'.charCodeAt(0);
    assert(mapped.unmap() === region && text(region.read()) === 'jEllo', text(region.read()));
    assert(bytes.length === 0, 'the bytes are gone with the mapping');
    throws(StateError, () => mapped.bytes, 'not mapped any more');
  },

  'it is unmapped at the end of a block with `using`'() {
    const region = Region.of(bytesOf('ab'));
    {
      using mapped = region.map();
      mapped.bytes[0] = 0x78;
    }
    assert(text(region.read()) === 'xb', text(region.read()));
  },

  'it reads and writes any number of bytes'() {
    const region = Region.allocate((2 << 20) + 10);
    const data = new Uint8Array(2 << 20).map((_, i) => i % 251);
    region.write(3, data);
    const back = region.read(3, data.length);
    assert(back.every((byte, i) => byte === i % 251), 'all bytes are there');
    region.setLength(7);
    assert(String(region.read()) === '0,0,0,0,1,2,3', region.read());
    for (const call of [
      () => region.read(-1, 5),
      () => region.read(0, region.size + 1),
      () => region.write(region.size, bytesOf('x')),
      () => region.setLength(region.size + 1),
      () => region.setLength(1.5),
    ]) {
      const error = throws(MappableError, call, 'range-outside-region', 'stay within `size`');
      assert(error.error === 'range-outside-region', error.error);
    }
  },

  'it can not be used after it was handed over'() {
    const region = Region.allocate(1);
    new Region(region.handOver()).drop();
    for (const call of [() => region.map(), () => region.handOver(), () => region.read(), () => region.freeze(), () => region.size]) {
      throws(StateError, call, 'unknown handle', 'was handed over', 'before handOver()');
    }
  },

  'it can not be mapped twice, or handed over while it is mapped'() {
    const region = Region.of(bytesOf('one'));
    const mapped = region.map();
    throws(StateError, () => region.map(), 'is mapped', 'unmap()');
    throws(StateError, () => region.handOver(), 'is mapped');
    throws(StateError, () => region.freeze(), 'is mapped');
    mapped.unmap();
    throws(RangeError, () => region.map(() => { throw new RangeError('mine'); }), 'mine');
    region.drop();
    throws(StateError, () => region.drop(), 'was dropped');
  },

  'it freezes, shares and thaws'() {
    const frozen = Region.of(new Uint8Array(GRANULE + 4).fill(9)).freeze();
    const [other, tail] = [frozen.clone(), frozen.slice(GRANULE, 4)];
    assert(tail.length === 4 && tail.map((bytes) => String(bytes)) === '9,9,9,9', tail.length);
    other.map((bytes) => bytes.fill(1));
    assert(frozen.read(0, 1)[0] === 9, 'what is written changes nothing');
    throws(MappableError, () => frozen.thaw(), 'still-shared', 'drop() the clones');
    throws(MappableError, () => frozen.slice(1, 1), 'part-misaligned', 'multiple of 65,536');
    other.drop();
    tail.drop();
    const region = frozen.thaw();
    throws(StateError, () => frozen.map(), 'was thawed');
    const copy = new Frozen(region.freeze().handOver()).copy();
    assert(copy.length === GRANULE + 4, copy.length);
  },

  'it splits and joins'() {
    const region = Region.allocate(2 * GRANULE);
    region.write(GRANULE, bytesOf('b'));
    throws(MappableError, () => region.split(5), 'part-misaligned');
    throws(MappableError, () => region.split(0), 'part-outside-region');
    const [low, high] = region.split(GRANULE);
    throws(StateError, () => region.map(), 'was split');
    throws(MappableError, () => high.join(low), 'not-neighbours');
    throws(StateError, () => high.join(high), 'itself');
    assert(text(low.join(high).read(GRANULE, 1)) === 'b', 'the parts are one again');
  },

  'it allocates one byte at the least'() {
    throws(MappableError, () => Region.allocate(0), 'invalid-region-size', 'one byte at the least');
    throws(MappableError, () => Region.allocate(-5), 'invalid-region-size');
  },

  'it names the error when regions leak'() {
    const leaked = [];
    const leak = () => {
      for (;;) leaked.push(Region.allocate(1 << 20));
    };
    throws(MappableError, leak, 'region-over-quota', 'drop()');
    assert(leaked.length > 2, leaked.length);
    leaked.forEach((region) => region.drop());
    Region.allocate(1 << 20).drop();
  },

  'it reports what is thrown as the error of the WIT'() {
    const thrown = (work) => {
      try {
        reported(work)();
      } catch (error) {
        return error;
      }
    };
    const error = thrown(() => { throw new TypeError('no such colour'); });
    assert(/^TypeError: no such colour \(rules\.js, line \d+\)$/.test(error), error);
    assert(thrown(() => { throw 'mine'; }) === 'mine', 'a string stays what it is');
  },
};
