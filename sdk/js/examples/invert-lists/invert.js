// The stage of ../invert with the picture copied in and out, for comparison: `mappable-bench languages`.
export const copyingStep = {
  run(bytes, header, args) {
    if (args.length > 0 || header.pixels === 'encoded') throw 'invert takes pixels, and no arguments';
    if (header.pixels === 'rgba8') {
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, Number(header.size) / 4);
      for (let i = 0; i < words.length; i++) words[i] ^= 0x00ffffff;
    } else {
      for (let i = 0, size = Number(header.size); i < size; i++) bytes[i] ^= 0xff;
    }
    return [bytes, header];
  },
};
