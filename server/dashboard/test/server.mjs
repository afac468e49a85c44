// Starts the real binary, kills it, and speaks its API through the page's own codec.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { Codec } from '../codec.js';
import { createClient } from '../grpcweb.js';

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A server with a data folder of its own, on a port that stays the same over restarts. */
export class Server {
  static async start(binary) {
    const server = new Server();
    server.binary = binary;
    server.data = mkdtempSync(join(tmpdir(), 'footpath-page-'));
    server.port = await freePort();
    server.origin = `http://127.0.0.1:${server.port}`;
    await server.run();
    return server;
  }

  /** Runs the binary until it has printed its link. */
  async run() {
    const listen = ['--listen', `127.0.0.1:${this.port}`, '--admin-listen', '127.0.0.1:0'];
    this.child = spawn(this.binary, ['serve', '--data', this.data, ...listen], {
      stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, FOOTPATH_LOG: 'warn' },
    });
    let [errors, started] = ['', false];
    this.child.stderr.on('data', (chunk) => { errors += chunk; });
    for await (const line of createInterface({ input: this.child.stdout })) {
      const key = line.match(/^project key: (\S+)/);
      if (key) [, this.key] = key;
      const link = line.match(/(http:\/\/\S+\?code=\S+)/);
      if (link) [, this.link] = link;
      started ||= Boolean(link);
      if (link) break;
    }
    if (!started) throw new Error(`the server ended: ${errors}`);
    await this.answering();
  }

  async answering() {
    for (let tries = 0; tries < 200; tries += 1) {
      try {
        const response = await fetch(`${this.origin}/descriptors.bin`);
        this.codec = new Codec(new Uint8Array(await response.arrayBuffer()));
        return;
      } catch {
        await new Promise((done) => { setTimeout(done, 50); });
      }
    }
    throw new Error('the server does not answer');
  }

  async end(signal) {
    const exited = this.child.exitCode === null && this.child.signalCode === null ? once(this.child, 'exit') : null;
    this.child.kill(signal);
    await exited;
  }

  async remove() {
    await this.end('SIGKILL');
    rmSync(this.data, { recursive: true, force: true });
  }

  /** A client with a token's rights, and the project that the first start made. */
  bearer(token) {
    return { project: 'default', ...createClient(this.codec, () => token, this.origin) };
  }

  sender() {
    return createClient(this.codec, () => this.key, this.origin);
  }
}
