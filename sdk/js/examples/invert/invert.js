// A stage that inverts the colors of a picture.
import { Region, reported } from './node_modules/mappable-guest/src/index.js';

export const step = {
  run: reported((handle, header, args) => {
    if (args.length > 0) throw new Error('invert takes no arguments');
    if (header.pixels === 'encoded') throw new Error('invert takes pixels, not a file: put `decode` before it');
    const region = new Region(handle);
    region.map((bytes) => {
      const pixels = bytes.subarray(0, Number(header.size));
      if (header.pixels === 'rgba8') {
        // A pixel is a word, with alpha in the highest byte.
        const words = new Uint32Array(pixels.buffer, 0, pixels.length / 4);
        for (let i = 0; i < words.length; i++) words[i] ^= 0x00ffffff;
      } else {
        for (let i = 0; i < pixels.length; i++) pixels[i] ^= 0xff;
      }
    });
    return [region.handOver(), header];
  }),
};
