// The package's types, by the compiler of TypeScript.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

test('a program that is right by the types compiles, and one that is wrong does not', async () => {
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022,dom'];
  const { stdout } = await promisify(execFile)(at('../node_modules/.bin/tsc'), [...options, at('consumer.ts')]);
  assert.equal(stdout, '');
});
