// The commands of README.md: a component as a module, with the shared store, by `jco transpile --map`.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const scratch = await mkdtemp(join(tmpdir(), 'mappable-js-host-'));
after(() => rm(scratch, { recursive: true }));

test('a component that imports the package by name works on regions of the shared store', async () => {
  await mkdir(join(scratch, 'node_modules'));
  await symlink(at('..'), join(scratch, 'node_modules', 'mappable-js-host'));
  await writeFile(join(scratch, 'package.json'), '{ "type": "module" }');
  await run(at('../node_modules/.bin/jco'), ['transpile', at('../../../guests/built/grayscale.wasm'), '-o', 'grayscale',
    '--import-bindings', 'hybrid', '--map', 'mappable:memory/types=mappable-js-host/types', '-q'], { cwd: scratch });
  await writeFile(join(scratch, 'main.js'), `
    import { Region } from 'mappable-js-host';
    import { store } from 'mappable-js-host/types';
    import { step } from './grayscale/grayscale.js';
    const header = { pixels: 'rgba8', width: 1, height: 1, size: 4n };
    const [given, made] = step.run(store.insert(Region.from(new Uint8Array([255, 255, 255, 255]))), header, []);
    console.log(store.remove(given).bytes[0], made.pixels);
  `);
  const { stdout } = await run(process.execPath, ['main.js'], { cwd: scratch });
  assert.equal(stdout.trim(), '255 gray8');
});
