// The page in a real browser, from a static file server. Built before by build.sh.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Chromium, serve } from './chromium.js';

/** The PNG that `mappable pipe blur:4 grayscale` makes of the photograph. */
const expected = process.env.EXPECTED_PNG;
assert(expected, 'EXPECTED_PNG is not set: .ci/anywhere says what it is');

const server = await serve(fileURLToPath(new URL('..', import.meta.url)));
const chromium = await Chromium.start();
after(async () => {
  server.close();
  await chromium.close();
});

const digest = `(async () => {
  const bytes = await (await fetch(document.getElementById('download').href)).arrayBuffer();
  const hash = await crypto.subtle.digest('SHA-256', bytes);
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
})()`;
const isDone = 'document.body.dataset.state !== "working"';
const state = () => chromium.evaluate('`${document.body.dataset.state}: ${document.getElementById("message").textContent}`');

test('a picture goes through the stages in every way, and is what the command makes of it', async () => {
  const wanted = createHash('sha256').update(await readFile(expected)).digest('hex');
  await chromium.open(server.url);
  await chromium.evaluate('document.getElementById("sample").click()');
  await chromium.until('document.body.dataset.state !== "empty"');
  for (const way of ['regions', 'portable', 'lists']) {
    await chromium.evaluate(`document.querySelector('input[value="${way}"]').click()`);
    await chromium.until(isDone);
    assert.equal(await state(), 'done: ', way);
    assert.equal(await chromium.evaluate(digest), wanted, way);
    assert.match(await chromium.evaluate('document.getElementById("total").textContent'), /^[\d.]+ ms$/);
  }
  if (process.env.SCREENSHOT) await writeFile(process.env.SCREENSHOT, await chromium.screenshot());
});

test('stages are added and removed, and a file that is no picture is told and forgiven', async () => {
  await chromium.open(server.url);
  await chromium.evaluate('document.getElementById("sample").click()');
  await chromium.until('document.body.dataset.state === "done"');
  await chromium.evaluate('[...document.querySelectorAll("#palette button")].find((it) => it.textContent === "resize").click()');
  await chromium.until(isDone);
  assert.match(await chromium.evaluate('document.getElementById("after-caption").textContent'), /^After: 320 × 214$/);
  assert.equal(await chromium.evaluate('document.querySelectorAll("#times .bar").length'), 5);
  await chromium.evaluate('document.querySelector("#pipeline .remove").click()');
  await chromium.until(isDone);
  assert.equal(await chromium.evaluate('document.querySelectorAll("#times .bar").length'), 4);

  const give = (bytes) => `(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([${bytes}], 'notes.txt'));
    document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
  })()`;
  await chromium.evaluate(give('"no picture"'));
  await chromium.until('document.body.dataset.state === "failed"');
  assert.match(await state(), /the picture is neither PNG nor JPEG/);
  await chromium.evaluate(give('await (await fetch("built/sample.jpg")).blob()').replace('(() =>', '(async () =>'));
  await chromium.until('document.body.dataset.state === "done"');
  assert.deepEqual(chromium.errors, []);
});
