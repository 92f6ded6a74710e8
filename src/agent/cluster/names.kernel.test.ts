import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { decodeMessage, encodeMessage, IN, rcodeOf, type } from '../../dns/message.ts';
import { parseName } from '../../dns/name.ts';
import { addressOf } from '../../dns/records.ts';
import { settingsFor } from '../../fabric/cluster/testing/settings.ts';
import { isolate } from '../../kernel/isolate.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { openKernel } from '../../kernel/linux.ts';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import type { ClusterEndpoint } from '../../objects/codec.ts';
import { serveClusterNames } from './names.ts';

const RESOLVER = '127.0.0.11';
const folder = mkdtempSync(join(tmpdir(), 'berth-names-'));
const sandbox = join(folder, 'sandbox');
let kernel: Kernel;
/** The engine's resolver: to it, no name is one. */
const engine = createSocket('udp4');
const client = createSocket('udp4');

before(async () => {
  isolate();
  kernel = await openKernel();
  engine.on('message', (query, { address, port }) => {
    query[2] = 0x80;
    query[3] = 3;
    engine.send(query, port, address);
  });
  engine.bind(0, RESOLVER);
  await once(engine, 'listening');
  execFileSync('nft', ['-f', '-'], {
    input: `table ip nat { chain OUTPUT { type nat hook output priority -100;
      ip daddr ${RESOLVER} udp dport 53 dnat to ${RESOLVER}:${engine.address().port}
    }\n}`,
  });
  client.connect(53, RESOLVER);
  await once(client, 'connect');
});
after(async () => {
  engine.close();
  client.close();
  await kernel.close();
  rmSync(folder, { recursive: true });
});

/** The address; or the error, as a number. */
async function ask(name: string, from: Socket = client): Promise<string> {
  const questions = [{ name: parseName(name)!, type: type.A, class: IN }];
  from.send(encodeMessage({ id: 1, flags: 0x0100, questions, answers: [], authorities: [], additionals: [] }));
  const [bytes] = (await once(from, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer];
  const message = decodeMessage(bytes)!;
  return message.answers.length === 0 ? `${rcodeOf(message)}` : formatAddress(addressOf(message.answers[0]!)!);
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await check())) {
    assert.ok(performance.now() < deadline, `not within 30 s: ${what}`);
    await pause(10);
  }
}

function stage(over: Partial<Kernel> = {}) {
  const endpoints = new Map<string, Endpoint>();
  const networks = new Map<string, Network>();
  const listeners: { state: () => void; endpoints: (network: string) => void } = { state() {}, endpoints() {} };
  const known = new Map<string, ClusterEndpoint[]>();
  const told: string[] = [];
  for (const [id, tenant, network] of [
    ['n1', 'blue', 'shop'],
    ['n2', 'blue', 'back'],
    ['n3', 'red', 'shop'],
  ] as const)
    networks.set(id, { fabric: 'cluster', settings: settingsFor({ tenant, network }) } as unknown as Network);
  networks.set('n4', { fabric: 'cluster', settings: settingsFor() } as unknown as Network);
  const serve = () =>
    serveClusterNames({
      host: 'h1',
      endpointsOn: (network) => known.get(network) ?? [],
      onEndpoints: (listener) => (listeners.endpoints = listener),
      state: { endpoints, networks, onChange: (listener: () => void) => (listeners.state = listener) } as never,
      kernel: { beforeResolver: kernel.beforeResolver, resolverStream: kernel.resolverStream, ...over },
      events: { emit: (_, message) => void told.push(message) },
      monotonic: () => performance.now(),
    });
  return {
    serve,
    told,
    join(network: string, at: string = sandbox) {
      const endpoint = { network, phase: 'attached', sandbox: at, createdAt: endpoints.size };
      endpoints.set(`${network} ${at}`, endpoint as unknown as Endpoint);
      listeners.state();
    },
    leave(network: string, at: string = sandbox) {
      endpoints.delete(`${network} ${at}`);
      listeners.state();
    },
    tell(network: string, name: string, address: string) {
      const one = { id: name, network, host: 'h2', addresses: [address], mac: '', containerName: name };
      known.set(network, [...(known.get(network) ?? []).filter(({ id }) => id !== name), one]);
      listeners.endpoints(network);
    },
  };
}

test('a container is answered as soon as its namespace is there, out of its own networks only', async () => {
  const here = stage();
  here.tell('blue:shop', 'web', '10.1.0.2');
  here.tell('blue:back', 'db', '10.2.0.2');
  here.tell('red:shop', 'secret', '10.3.0.2');
  const names = here.serve();
  here.join('n1');
  await pause(40);
  assert.deepEqual([names.served(), await ask('web')], [[], '3']);
  symlinkSync('/proc/self/ns/net', sandbox);
  await until('web to be known', async () => (await ask('web')) === '10.1.0.2');
  assert.deepEqual(names.served(), [sandbox]);
  assert.equal(await ask('secret'), '3');
  assert.equal(await ask('db'), '3');

  here.join('n2');
  await until('db to be known', async () => (await ask('db')) === '10.2.0.2');
  here.leave('n2');
  await until('db to be forgotten', async () => (await ask('db')) === '3');
  here.tell('blue:shop', 'web', '10.1.0.9');
  await until('the new address', async () => (await ask('web')) === '10.1.0.9');
  assert.deepEqual(here.told, []);

  here.leave('n1');
  await until('the container to be left', async () => names.served().length === 0);
  assert.equal(await ask('web'), '3');
  here.join('n1');
  await until('web to be known again', async () => (await ask('web')) === '10.1.0.9');
  await names.close();
  assert.equal(await ask('web'), '3');
  const again = here.serve();
  await until('web to be known after a restart', async () => (await ask('web')) === '10.1.0.9');
  await again.close();
});

test('networks of this host alone are left to the engine', async () => {
  const here = stage();
  const names = here.serve();
  here.join('n4');
  await pause(30);
  assert.deepEqual(names.served(), []);
  await names.close();
});

test('a kernel that cannot do it is told of once, and nothing else is different', async () => {
  const here = stage({ beforeResolver: () => Promise.reject(new BerthError('KERNEL_LACKS', 'too old')) });
  const names = here.serve();
  here.tell('blue:shop', 'web', '10.1.0.2');
  here.join('n1');
  await until('it to be told', async () => here.told.length > 0);
  here.join('n2');
  await pause(30);
  assert.deepEqual(here.told, ['a container cannot ask for containers of other hosts by name: too old']);
  assert.equal(await ask('web'), '3');
  await names.close();
});
