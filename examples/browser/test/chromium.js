// A headless Chromium, told what to do by the DevTools protocol through a pipe: no dependency is needed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './page.js';

export class Chromium {
  #waiting = new Map();
  #last = 0;
  errors = [];

  static async start(program = process.env.CHROMIUM ?? 'chromium') {
    const chromium = new Chromium();
    chromium.profile = await mkdtemp(join(tmpdir(), 'mappable-chromium-'));
    chromium.child = spawn(program, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
      '--remote-debugging-pipe', `--user-data-dir=${chromium.profile}`, '--window-size=1400,900', 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    const failed = once(chromium.child, 'error').then(([error]) => { throw error; });
    let rest = '';
    chromium.child.stdio[4].setEncoding('utf8').on('data', (text) => {
      const messages = (rest + text).split('\0');
      rest = messages.pop();
      messages.forEach((message) => chromium.#receive(JSON.parse(message)));
    });
    const begin = async () => {
      const { targetInfos } = await chromium.send('Target.getTargets');
      const { targetId } = targetInfos.find(({ type }) => type === 'page');
      ({ sessionId: chromium.session } = await chromium.send('Target.attachToTarget', { targetId, flatten: true }));
      await chromium.send('Page.enable');
      await chromium.send('Runtime.enable');
    };
    await Promise.race([begin(), failed]);
    return chromium;
  }

  #receive({ id, method, params, result, error }) {
    if (method === 'Runtime.exceptionThrown') this.errors.push(params.exceptionDetails);
    const { resolve, reject } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (error) reject?.(new Error(error.message));
    else resolve?.(result);
  }

  send(method, params = {}) {
    this.#last += 1;
    const message = { id: this.#last, method, params, sessionId: this.session };
    this.child.stdio[3].write(`${JSON.stringify(message)}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(message.id, { resolve, reject }));
  }

  async open(url) {
    await this.send('Page.navigate', { url });
    await this.until('document.readyState === "complete"');
  }

  /** What an expression is in the page. Promises are waited for. */
  async evaluate(expression) {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', options);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  until(condition) {
    return until(this, condition);
  }

  async screenshot() {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }

  async close() {
    const gone = once(this.child, 'exit');
    this.child.kill();
    await gone;
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
