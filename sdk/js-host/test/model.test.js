// The model's programs, which the library's strategies are tested with too, by guests that run by jco.
// `cargo run -p mappable-testing --example programs -- DIRECTORY` writes them; MAPPABLE_PROGRAMS is that directory.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Machine } from './support/machine.js';
import { component } from './support/transpiled.js';

const directory = process.env.MAPPABLE_PROGRAMS;
assert(directory, 'MAPPABLE_PROGRAMS is not set: README.md says how the programs are made');
const [guest, pair] = await Promise.all(['guest', 'pair'].map(async (name) =>
  component(await readFile(join(directory, `${name}.wasm`)), name)));
const programs = (await readFile(join(directory, 'programs.jsonl'), 'utf8')).trim().split('\n').map(JSON.parse);

test('the model\'s programs give what the model has', async () => {
  let done = 0;
  for (const program of programs) {
    const machine = await Machine.start(program, { guest, pair });
    for (const [at, step] of program.steps.entries()) {
      const { outcome, world, ...operation } = step;
      const where = `program ${program.seed}, step ${at}: ${JSON.stringify(operation)}`;
      const found = machine.perform(step);
      assert.deepEqual(found, outcome, `${where} ${found === "trap" ? machine.trap : ""}`);
      try {
        if (world) machine.compare(world);
      } catch (error) {
        error.message = `${where}: ${error.message}`;
        throw error;
      }
      done += 1;
    }
  }
  assert(done >= 1000, 'hardly anything was done');
  console.log(`${programs.length} programs of ${done} operations`);
});
