// Components by jco, each time it is asked for: as a module with `instantiate`, and its core modules.

import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after } from 'node:test';
import { rm } from 'node:fs/promises';
import { transpile } from '@bytecodealliance/jco';

const scratch = await mkdtemp(join(tmpdir(), 'mappable-js-host-'));
after(() => rm(scratch, { recursive: true }));

/** `instantiate(imports)` of a component. */
export async function component(bytes, name, options = {}) {
  const { files } = await transpile(bytes, {
    name,
    instantiation: 'async',
    importBindings: 'hybrid',
    noTypescript: true,
    wasiShim: false,
    ...options,
  });
  const folder = await mkdtemp(join(scratch, `${name}-`));
  const modules = new Map();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
    if (path.endsWith('.wasm')) modules.set(path, await WebAssembly.compile(content));
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const { instantiate } = await import(pathToFileURL(join(folder, `${name}.js`)).href);
  return (imports) => instantiate((path) => modules.get(path), imports);
}
