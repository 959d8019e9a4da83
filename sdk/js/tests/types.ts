// A stage in TypeScript: what the package's types allow, and what they don't.
import { Frozen, GRANULE, Mapped, MappableError, Region, StateError, reported, type MappableHandle } from '../src/index.js';

interface Header {
  pixels: 'encoded' | 'gray8' | 'rgba8';
  width: number;
  height: number;
  size: bigint;
}

export const step = {
  run: reported((handle: MappableHandle, header: Header, args: string[]): [MappableHandle, Header] => {
    const region = new Region(handle);
    const first: number = region.map((bytes) => bytes[0] ?? args.length);
    region.write(0, new Uint8Array([255 - first]));
    return [region.handOver(), header];
  }),
};

export function parts(region: Region): Frozen {
  const [low, high] = region.split(GRANULE);
  const mapped: Mapped<Region> = low.map();
  mapped.bytes.fill(0);
  // @ts-expect-error: a mapped region is no region.
  high.join(mapped);
  return mapped.unmap().join(high).freeze();
}

export function name(error: unknown): string {
  return error instanceof StateError || error instanceof MappableError ? error.error : String(error);
}

export function write(frozen: Frozen): void {
  // @ts-expect-error: frozen bytes are not written.
  frozen.write(0, new Uint8Array());
}
