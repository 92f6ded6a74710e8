import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:https';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import type { TlsAddress } from './listen.ts';
import { createPluginServer, type PluginServer } from './plugin-server.ts';
import { call } from './testing/client.ts';
import { fakeDrivers } from './testing/fake-drivers.ts';

let directory: string;
let path: string;
const servers: PluginServer[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'listen-'));
  path = join(directory, 'berth.sock');
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  rmSync(directory, { recursive: true });
});

function plugin(name = 'berth'): PluginServer {
  const { network, ipam } = fakeDrivers();
  const server = createPluginServer({ name, network, ipam, logger: pino({ level: 'silent' }), timeoutMs: 2000 });
  servers.push(server);
  return server;
}

const answers = async (at: string) => assert.equal((await call(at, 'Plugin.Activate')).status, 200);

async function plainServer(at: string): Promise<Server> {
  const server = createServer();
  server.listen(at);
  await once(server, 'listening');
  return server;
}

/** Leaves the socket file of a process that was killed. */
async function staleSocket(at: string): Promise<void> {
  const child = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(at)}, () => console.log('up'))`,
  ]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(lstatSync(at).isSocket(), true);
}

describe('the socket', () => {
  it('is for its owner only, alone in its directory, and gone afterwards', async () => {
    const server = plugin();
    await server.listen({ kind: 'unix', path });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['berth.sock']);
    assert.deepEqual(server.addresses, [`unix://${path}`]);
    await answers(path);
    await server.close();
    assert.deepEqual(readdirSync(directory), []);
  });

  it('is made with its directory', async () => {
    const deep = join(directory, 'run', 'docker', 'plugins', 'berth.sock');
    await plugin().listen({ kind: 'unix', path: deep });
    await answers(deep);
  });

  it('is never there without a listener, while it starts and stops', async () => {
    const code = `
      const { connect } = require('net');
      const { readdirSync, lstatSync } = require('fs');
      let polls = 0, served = 0, strangers = 0, running = true, told = false;
      process.stdin.once('data', () => { running = false; });
      (async () => {
        while (running) {
          const result = await new Promise((resolve) => {
            const s = connect(${JSON.stringify(path)});
            s.once('connect', () => { s.destroy(); resolve('up'); });
            s.once('error', (e) => resolve(e.code));
          });
          polls++;
          // EAGAIN is a listener whose backlog is full, of us.
          if (result === 'up' || result === 'EAGAIN') served++;
          else if (result !== 'ENOENT') { console.log('FOUND ' + result); process.exit(1); }
          if (!told && served >= 50 && polls - served >= 50) { told = true; console.log('enough'); }
          for (const name of readdirSync(${JSON.stringify(directory)}))
            if (name !== 'berth.sock' && lstatSync(${JSON.stringify(directory)} + '/' + name, { throwIfNoEntry: false })?.isSocket()) strangers++;
          await new Promise((resolve) => setImmediate(resolve));
        }
        console.log(JSON.stringify({ polls, served, strangers }));
        process.exit(0);
      })();
    `;
    const poller = spawn(process.execPath, ['-e', code]);
    const ended = once(poller, 'close');
    let output = '';
    poller.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    while (!/enough|FOUND/.test(output)) {
      const server = plugin();
      await server.listen({ kind: 'unix', path });
      await answers(path);
      await server.close();
    }
    poller.stdin.end('stop');
    await ended;
    const { polls, served, strangers } = JSON.parse(output.replace('enough\n', '')) as Record<string, number>;
    assert.ok(served! >= 50 && polls! - served! >= 50, output);
    assert.equal(strangers, 0);
  });

  it('replaces what a killed process left', async () => {
    await staleSocket(path);
    await plugin().listen({ kind: 'unix', path });
    await answers(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('does not replace one that is served, and leaves it alone', async () => {
    const other = await plainServer(path);
    const server = plugin();
    await assert.rejects(server.listen({ kind: 'unix', path }), {
      code: 'SOCKET_IN_USE',
      message: /another process listens on ".*berth\.sock"/,
    });
    await server.close();
    assert.deepEqual(readdirSync(directory), ['berth.sock']);
    const client = connect(path);
    await once(client, 'connect');
    client.destroy();
    await new Promise((resolve) => other.close(resolve));
  });

  it('does not replace what is not a socket', async () => {
    writeFileSync(path, 'precious');
    await assert.rejects(plugin().listen({ kind: 'unix', path }), {
      code: 'SOCKET_IN_USE',
      message: /exists and is not a socket/,
    });
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  it('of two that start at once, one gets it', async () => {
    const results = await Promise.allSettled([1, 2, 3].map(() => plugin().listen({ kind: 'unix', path })));
    assert.deepEqual(results.map((result) => result.status).sort(), ['fulfilled', 'rejected', 'rejected']);
    await answers(path);
  });

  it('is not removed at the end when it has become somebody else’s', async () => {
    const server = plugin();
    await server.listen({ kind: 'unix', path });
    const other = await plainServer(join(directory, 'other.sock'));
    renameSync(join(directory, 'other.sock'), path);
    await server.close();
    assert.equal(existsSync(path), true);
    await new Promise((resolve) => other.close(resolve));
  });

  it('is removed when the process exits without a word, and when it dies of an error', async () => {
    for (const ending of ['process.exit(0)', 'throw new Error("boom")']) {
      const code = `
        import { createServer } from 'node:http';
        import { listen } from ${JSON.stringify(join(import.meta.dirname, 'listen.ts'))};
        await listen(createServer(), { kind: 'unix', path: ${JSON.stringify(path)}, specDir: ${JSON.stringify(directory)} }, 'berth');
        console.log('up');
        process.stdin.once('data', () => { ${ending}; });
      `;
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'ignore'] });
      await once(child.stdout, 'data');
      assert.deepEqual(readdirSync(directory).sort(), ['berth.sock', 'berth.spec']);
      child.stdin.end('go');
      await once(child, 'exit');
      assert.deepEqual(readdirSync(directory), [], ending);
    }
  });

  it('clears private directories that were left long ago, and no others', async () => {
    for (const name of ['.berth.sock.abcdef', '.berth.sock.young1', '.other.sock.abcdef'])
      mkdirSync(join(directory, name));
    for (const name of ['.berth.sock.abcdef', '.other.sock.abcdef']) utimesSync(join(directory, name), 1000, 1000);
    await plugin().listen({ kind: 'unix', path });
    assert.deepEqual(readdirSync(directory).sort(), ['.berth.sock.young1', '.other.sock.abcdef', 'berth.sock']);
  });

  it('says what is wrong with its path', async () => {
    await assert.rejects(plugin().listen({ kind: 'unix', path: 'berth.sock' }), {
      code: 'BAD_CONFIG',
      message: /not an absolute path/,
    });
    await assert.rejects(plugin().listen({ kind: 'unix', path: `${directory}/${'x'.repeat(90)}` }), {
      code: 'BAD_CONFIG',
      message: /too long/,
    });
    writeFileSync(join(directory, 'file'), '');
    await assert.rejects(plugin().listen({ kind: 'unix', path: join(directory, 'file', 'x.sock') }), {
      code: 'BAD_CONFIG',
      message: /cannot listen on .*(ENOTDIR|EEXIST)/,
    });
  });

  it('several names are served side by side', async () => {
    const names = ['berth', 'berth-lan', 'local'];
    for (const name of names) await plugin(name).listen({ kind: 'unix', path: join(directory, `${name}.sock`) });
    for (const name of names) await answers(join(directory, `${name}.sock`));
  });
});

describe('the .spec file', () => {
  it('leads to the socket, and goes with it', async () => {
    const specDir = join(directory, 'specs');
    const server = plugin();
    await server.listen({ kind: 'unix', path, specDir });
    assert.equal(readFileSync(join(specDir, 'berth.spec'), 'utf8'), `unix://${path}\n`);
    assert.deepEqual(readdirSync(specDir), ['berth.spec']);
    await server.close();
    assert.deepEqual(readdirSync(specDir), []);
  });

  it('replaces one that leads nowhere, and keeps one that leads to another plugin', async () => {
    const elsewhere = join(directory, 'elsewhere.sock');
    writeFileSync(join(directory, 'berth.spec'), `unix://${elsewhere}\n`);
    const first = plugin();
    await first.listen({ kind: 'unix', path, specDir: directory });
    assert.equal(readFileSync(join(directory, 'berth.spec'), 'utf8'), `unix://${path}\n`);
    await first.close();

    const other = await plainServer(elsewhere);
    writeFileSync(join(directory, 'berth.spec'), `unix://${elsewhere}\n`);
    const second = plugin();
    await assert.rejects(second.listen({ kind: 'unix', path, specDir: directory }), {
      code: 'SOCKET_IN_USE',
      message: /leads to another plugin, at "unix:.*elsewhere/,
    });
    assert.equal(readFileSync(join(directory, 'berth.spec'), 'utf8'), `unix://${elsewhere}\n`);
    assert.equal(existsSync(path), false);
    assert.deepEqual(second.addresses, []);
    await new Promise((resolve) => other.close(resolve));
  });

  it('is not removed when it has been written anew', async () => {
    const server = plugin();
    await server.listen({ kind: 'unix', path, specDir: directory });
    writeFileSync(join(directory, 'new'), 'unix:///x');
    renameSync(join(directory, 'new'), join(directory, 'berth.spec'));
    await server.close();
    assert.equal(readFileSync(join(directory, 'berth.spec'), 'utf8'), 'unix:///x');
  });
});

describe('TCP with mutual TLS', () => {
  let pki: string;
  const pem = (name: string) => join(pki, `${name}.pem`);

  before(() => {
    pki = mkdtempSync(join(tmpdir(), 'pki-'));
    const openssl = (...parameters: string[]) => execFileSync('openssl', parameters, { cwd: pki, stdio: 'pipe' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    for (const ca of ['ca', 'other-ca'])
      openssl('req', '-x509', ...key, '-subj', `/CN=${ca}`, '-keyout', `${ca}-key.pem`, '-out', `${ca}.pem`);
    for (const [name, ca] of [
      ['server', 'ca'],
      ['client', 'ca'],
      ['stranger', 'other-ca'],
    ] as const)
      openssl(
        'req',
        '-x509',
        ...key,
        '-CA',
        `${ca}.pem`,
        '-CAkey',
        `${ca}-key.pem`,
        '-subj',
        `/CN=${name}`,
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-addext',
        'basicConstraints=critical,CA:FALSE',
        '-keyout',
        `${name}-key.pem`,
        '-out',
        `${name}.pem`,
      );
  });
  after(() => rmSync(pki, { recursive: true }));

  const at = (more: Partial<TlsAddress> = {}): TlsAddress => ({
    kind: 'tls',
    host: '127.0.0.1',
    port: 0,
    ca: pem('ca'),
    certificate: pem('server'),
    key: pem('server-key'),
    ...more,
  });

  function activate(address: string, certificate?: string, more: object = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const own =
        certificate === undefined
          ? {}
          : { cert: readFileSync(pem(certificate)), key: readFileSync(pem(`${certificate}-key`)) };
      const sent = request(`${address}/Plugin.Activate`, {
        method: 'POST',
        ca: readFileSync(pem('ca')),
        agent: false,
        ...own,
        ...more,
      });
      sent.on('error', reject);
      sent.on('response', (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(text));
      });
      sent.end();
    });
  }

  it('serves who shows a certificate of the authority, and nobody else', async () => {
    const server = plugin();
    await server.listen(at());
    const [address] = server.addresses;
    assert.match(address!, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.match(await activate(address!, 'client'), /Implements/);
    await assert.rejects(activate(address!), /certificate required|ECONNRESET|socket hang up/);
    await assert.rejects(activate(address!, 'stranger'), /unknown ca|bad certificate|ECONNRESET|socket hang up/i);
    await assert.rejects(
      activate(address!, 'client', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }),
      /version|protocol/i,
    );
    await assert.rejects(
      activate(address!.replace('https', 'http'), 'client', { protocol: 'https:', ca: [] }),
      /certificate|self|verify/i,
    );
    assert.match(await activate(address!, 'client'), /Implements/);
  });

  it('plain HTTP on its port gets nothing', async () => {
    const server = plugin();
    await server.listen(at());
    const socket = connect(Number(new URL(server.addresses[0]!).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => undefined);
    socket.write('POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n');
    await once(socket, 'close');
    assert.doesNotMatch(text, /Implements/);
  });

  it('is found by a .json with Docker’s certificate, gone afterwards', async () => {
    const server = plugin();
    const client = { ca: pem('ca'), certificate: pem('client'), key: pem('client-key') };
    await server.listen(at({ spec: { directory, client } }));
    assert.deepEqual(JSON.parse(readFileSync(join(directory, 'berth.json'), 'utf8')), {
      Name: 'berth',
      Addr: server.addresses[0],
      TLSConfig: { InsecureSkipVerify: false, CAFile: client.ca, CertFile: client.certificate, KeyFile: client.key },
    });
    await server.close();
    assert.deepEqual(readdirSync(directory), []);
  });

  it('closes at once with a connection that is kept, and in time with one that never shook hands', async () => {
    const server = plugin();
    await server.listen(at());
    const silent = connect(Number(new URL(server.addresses[0]!).port), '127.0.0.1');
    await once(silent, 'connect');
    // Else it would wait for ever.
    await server.close();
    silent.destroy();
  });

  it('says what is wrong with its files and its port', async () => {
    await assert.rejects(plugin().listen(at({ ca: pem('nothing') })), {
      code: 'BAD_CONFIG',
      message: /cannot read ".*nothing\.pem": ENOENT/,
    });
    await assert.rejects(plugin().listen(at({ key: pem('client-key') })), {
      code: 'BAD_CONFIG',
      message: /certificates of .* do not work/,
    });
    writeFileSync(join(directory, 'junk.pem'), 'junk');
    await assert.rejects(plugin().listen(at({ certificate: join(directory, 'junk.pem') })), { code: 'BAD_CONFIG' });
    const first = plugin();
    await first.listen(at());
    const port = Number(new URL(first.addresses[0]!).port);
    await assert.rejects(plugin().listen(at({ port })), {
      code: 'SOCKET_IN_USE',
      message: /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    });
  });

  it('leaves nothing when its discovery file cannot be written', async () => {
    writeFileSync(join(directory, 'file'), '');
    chmodSync(join(directory, 'file'), 0o600);
    const client = { ca: pem('ca'), certificate: pem('client'), key: pem('client-key') };
    const server = plugin();
    await assert.rejects(server.listen(at({ spec: { directory: join(directory, 'file'), client } })), {
      code: 'BAD_CONFIG',
      message: /cannot write/,
    });
    await server.close();
    assert.deepEqual(server.addresses, []);
  });
});
