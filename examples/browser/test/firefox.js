// A headless Firefox, told what to do by WebDriver BiDi. Before version 22, Node has to be told `--experimental-websocket`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './page.js';

export class Firefox {
  #waiting = new Map();
  #last = 0;
  errors = [];

  static async start(program = process.env.FIREFOX ?? 'firefox-esr') {
    const firefox = new Firefox();
    firefox.profile = await mkdtemp(join(tmpdir(), 'mappable-firefox-'));
    firefox.child = spawn(program, ['--headless', '--no-remote', '--profile', firefox.profile, '--remote-debugging-port', '0'],
      { stdio: ['ignore', 'ignore', 'pipe'] });
    const failed = once(firefox.child, 'error').then(([error]) => { throw error; });
    await Promise.race([firefox.#begin(), failed]);
    return firefox;
  }

  async #begin() {
    const address = await new Promise((resolve) => {
      let said = '';
      this.child.stderr.setEncoding('utf8').on('data', (text) => {
        said += text;
        const [, found] = said.match(/WebDriver BiDi listening on (\S+)/) ?? [];
        if (found) resolve(found);
      });
    });
    this.socket = new WebSocket(`${address}/session`);
    this.socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    await new Promise((resolve, reject) => Object.assign(this.socket, { onopen: resolve, onerror: reject }));
    await this.send('session.new', { capabilities: {} });
    await this.send('session.subscribe', { events: ['log.entryAdded'] });
    const { contexts } = await this.send('browsingContext.getTree');
    this.context = contexts[0].context;
  }

  #receive({ id, type, method, params, result, message }) {
    if (method === 'log.entryAdded' && params.level === 'error') this.errors.push(params.text);
    const { resolve, reject } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (type === 'error') reject?.(new Error(message));
    else resolve?.(result);
  }

  send(method, params = {}) {
    this.#last += 1;
    this.socket.send(JSON.stringify({ id: this.#last, method, params }));
    return new Promise((resolve, reject) => this.#waiting.set(this.#last, { resolve, reject }));
  }

  open(url) {
    return this.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' });
  }

  /** What an expression is in the page: a string, a number or a boolean. Promises are waited for. */
  async evaluate(expression) {
    const options = { expression, target: { context: this.context }, awaitPromise: true };
    const { type, result, exceptionDetails } = await this.send('script.evaluate', options);
    if (type === 'exception') throw new Error(exceptionDetails.text);
    return result.value;
  }

  until(condition) {
    return until(this, condition);
  }

  async screenshot() {
    const { data } = await this.send('browsingContext.captureScreenshot', { context: this.context });
    return Buffer.from(data, 'base64');
  }

  async close() {
    const gone = once(this.child, 'exit');
    this.socket.close();
    this.child.kill();
    await gone;
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
