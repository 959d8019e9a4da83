// The page in real browsers, from a static file server. Built before by build.sh. BROWSERS says which: `chromium,firefox`.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Chromium } from './chromium.js';
import { Firefox } from './firefox.js';
import { serve } from './page.js';

/** The PNG that `mappable pipe blur:4 grayscale` makes of the photograph. */
const expected = process.env.EXPECTED_PNG;
assert(expected, 'EXPECTED_PNG is not set: .ci/anywhere says what it is');
const KINDS = { chromium: Chromium, firefox: Firefox };

const server = await serve(fileURLToPath(new URL('..', import.meta.url)));
after(() => server.close());

const digest = `(async () => {
  const bytes = await (await fetch(document.getElementById('download').href)).arrayBuffer();
  const hash = await crypto.subtle.digest('SHA-256', bytes);
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
})()`;
const isDone = 'document.body.dataset.state !== "working"';
const state = '`${document.body.dataset.state}: ${document.getElementById("message").textContent}`';
const bars = 'document.querySelectorAll("#times .bar").length';

/** A file is dropped, with these bytes: an expression. */
const drop = (bytes) => `(async () => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([${bytes}], 'dropped'));
  document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
})()`;

for (const name of (process.env.BROWSERS ?? 'chromium').split(',')) {
  describe(name, async () => {
    const browser = await KINDS[name].start();
    after(() => browser.close());

    test('a picture goes through the stages in every way, and is what the command makes of it', async () => {
      const wanted = createHash('sha256').update(await readFile(expected)).digest('hex');
      await browser.open(server.url);
      await browser.evaluate('document.getElementById("sample").click()');
      await browser.until('document.body.dataset.state !== "empty"');
      for (const way of ['regions', 'portable', 'lists']) {
        await browser.evaluate(`document.querySelector('input[value="${way}"]').click()`);
        await browser.until(isDone);
        assert.equal(await browser.evaluate(state), 'done: ', way);
        assert.equal(await browser.evaluate(digest), wanted, way);
        assert.match(await browser.evaluate('document.getElementById("total").textContent'), /^[\d.]+ ms$/);
      }
      if (process.env.SCREENSHOT) await writeFile(process.env.SCREENSHOT, await browser.screenshot());
    });

    test('stages are added and removed, and a file that is no picture is told and forgiven', async () => {
      await browser.open(server.url);
      await browser.evaluate('document.getElementById("sample").click()');
      await browser.until('document.body.dataset.state === "done"');
      const resize = '[...document.querySelectorAll("#palette button")].find((it) => it.textContent === "resize")';
      await browser.evaluate(`${resize}.click()`);
      await browser.until(isDone);
      assert.equal(await browser.evaluate('document.getElementById("after-caption").textContent'), 'After: 320 × 214');
      assert.equal(await browser.evaluate(bars), 5);
      await browser.evaluate('document.querySelector("#pipeline .remove").click()');
      await browser.until(isDone);
      assert.equal(await browser.evaluate(bars), 4);

      await browser.evaluate(drop('"no picture"'));
      await browser.until('document.body.dataset.state === "failed"');
      assert.match(await browser.evaluate(state), /the picture is neither PNG nor JPEG/);
      await browser.evaluate(drop('await (await fetch("built/sample.jpg")).blob()'));
      await browser.until('document.body.dataset.state === "done"');
      assert.deepEqual(browser.errors, []);
    });
  });
}
