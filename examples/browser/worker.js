// Runs stages, away from the page, which stays responsive. Each stage is loaded when it is first used.

import { Region, Store } from './built/js-host/index.js';

const FOLDERS = { regions: '', portable: '.portable', lists: '.copying' };
const store = new Store();
const loaded = new Map();

async function compile(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname}: ${response.status}. Has build.sh been run?`);
  return WebAssembly.compile(await response.arrayBuffer());
}

function stage(name, way) {
  const folder = `./built/${name}${FOLDERS[way]}/`;
  if (!loaded.has(folder)) {
    const load = async () => {
      const { instantiate } = await import(`${folder}stage.js`);
      return instantiate((path) => compile(new URL(folder + path, import.meta.url)), store.imports);
    };
    loaded.set(folder, load());
  }
  return loaded.get(folder);
}

async function run({ file, stages, way }) {
  // What is loaded and compiled is not what is measured.
  const steps = await Promise.all(stages.map(async ([name, args]) => ({ name, args, exports: await stage(name, way) })));
  const times = [];
  /** An encoded picture's header doesn't say how large it is, so that of the one before does. */
  let size = {};
  let header = { pixels: 'encoded', width: 0, height: 0, size: BigInt(file.length) };
  let payload = way === 'regions' ? store.insert(Region.from(file)) : file;
  for (const { name, args, exports } of steps) {
    const begin = performance.now();
    const { run } = way === 'regions' ? exports.step : exports.copyingStep;
    [payload, header] = run(payload, header, args);
    times.push([name, performance.now() - begin]);
    if (header.pixels !== 'encoded') size = { width: header.width, height: header.height };
  }
  const bytes = way === 'regions' ? store.remove(payload).bytes : payload;
  return { png: bytes.slice(0, Number(header.size)), ...size, times };
}

self.onmessage = async ({ data: { id, ...job } }) => {
  try {
    const result = await run(job);
    self.postMessage({ id, result }, [result.png.buffer]);
  } catch (error) {
    // A stage that trapped can't be called again: the next job loads it anew.
    loaded.clear();
    self.postMessage({ id, error: error.payload ?? error.message });
  }
};
