import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { describe, it } from 'node:test';
import { parseAddress } from '../model/address.ts';
import type { NetworkId } from '../model/ids.ts';
import { parsePrefix } from '../model/prefix.ts';
import type { NewNetwork } from './engine.ts';
import { connectEngine } from './engine-client.ts';
import { fakeEngineForEach, VERSION } from './testing/fake-engine.ts';

const ID = 'a'.repeat(64) as NetworkId;
const shop: NewNetwork = {
  name: 'shop/blue',
  driver: 'berth',
  ipamDriver: 'berth',
  subnets: [
    { subnet: parsePrefix('10.1.0.0/24')!, gateway: parseAddress('10.1.0.254')! },
    { subnet: parsePrefix('fd01::/64')! },
  ],
  options: { tenant: 'blue', network: 'shop' },
  ipamOptions: { tenant: 'blue', network: 'shop', group: 'web' },
  labels: { 'net.berth.cluster': 'blue:shop' },
};

const fake = fakeEngineForEach();

/** Answers with a status, and keeps what it was sent. */
function recorder(status: number, answer: unknown): { readonly listener: RequestListener; readonly sent: unknown[] } {
  const sent: unknown[] = [];
  const listener: RequestListener = (request, response) => {
    let text = '';
    request.on('data', (data: Buffer) => (text += data.toString()));
    request.on('end', () => {
      sent.push([request.method, request.headers['content-type'], text === '' ? undefined : JSON.parse(text)]);
      response.writeHead(status).end(answer === undefined ? undefined : JSON.stringify(answer));
    });
  };
  return { listener, sent };
}

describe('a network is made', () => {
  it('as docker network create says it', async () => {
    const { listener, sent } = recorder(201, { Id: ID, Warning: '' });
    await fake.answer({ '/version': VERSION, '/networks/create': listener });
    assert.equal(await connectEngine(fake.address).createNetwork(shop), ID);
    assert.deepEqual(fake.asked, ['/version', '/v1.44/networks/create']);
    const body = {
      Name: 'shop/blue',
      CheckDuplicate: true,
      Driver: 'berth',
      EnableIPv6: true,
      IPAM: {
        Driver: 'berth',
        Options: { tenant: 'blue', network: 'shop', group: 'web' },
        Config: [{ Subnet: '10.1.0.0/24', Gateway: '10.1.0.254' }, { Subnet: 'fd01::/64' }],
      },
      Options: { tenant: 'blue', network: 'shop' },
      Labels: { 'net.berth.cluster': 'blue:shop' },
    };
    assert.deepEqual(sent, [['POST', 'application/json', body]]);
  });

  const refused = [
    [409, 'NETWORK_EXISTS', /network with name shop\/blue already exists/],
    [500, 'ENGINE_REFUSED', /network with name shop\/blue already exists/],
    [400, 'ENGINE_REFUSED', /^Docker refuses: /],
  ] as const;
  for (const [status, code, message] of refused)
    it(`unless the engine refuses with ${status}`, async () => {
      const { listener } = recorder(status, { message: 'network with name shop/blue already exists' });
      await fake.answer({ '/version': VERSION, '/networks/create': listener });
      await assert.rejects(connectEngine(fake.address).createNetwork(shop), { name: 'BerthError', code, message });
    });

  it('an engine that answers with no id has not understood', async () => {
    const { listener } = recorder(201, { Id: 'x' });
    await fake.answer({ '/version': VERSION, '/networks/create': listener });
    await assert.rejects(connectEngine(fake.address).createNetwork(shop), { code: 'ENGINE_UNREACHABLE' });
  });

  it('an engine that does not come to an end is not waited for', async () => {
    await fake.answer({ '/version': VERSION, '/networks/create': () => undefined });
    const engine = connectEngine(fake.address, { changeDeadlineMs: 50 });
    await assert.rejects(engine.createNetwork(shop), {
      code: 'ENGINE_UNREACHABLE',
      message: /does not answer POST .*\/networks\/create within 0\.05 s/,
    });
  });

  it('is not asked for twice when the engine goes away meanwhile', async () => {
    const dying: RequestListener = (request) => request.socket.destroy();
    await fake.answer({ '/version': VERSION, '/networks': [], '/networks/create': dying });
    const engine = connectEngine(fake.address);
    await engine.networks();
    await assert.rejects(engine.createNetwork(shop), { code: 'ENGINE_UNREACHABLE' });
    assert.equal(fake.asked.filter((path) => path.endsWith('/create')).length, 1);
  });
});

describe('a network is removed', () => {
  it('by its id', async () => {
    const { listener, sent } = recorder(204, undefined);
    await fake.answer({ '/version': VERSION, [`/networks/${ID}`]: listener });
    await connectEngine(fake.address).removeNetwork(ID);
    assert.deepEqual(sent, [['DELETE', undefined, undefined]]);
  });

  it('also when it is gone', async () => {
    await fake.answer({ '/version': VERSION });
    await connectEngine(fake.address).removeNetwork(ID);
  });

  it('unless containers are on it', async () => {
    const { listener } = recorder(403, { message: 'error while removing network: network shop has active endpoints' });
    await fake.answer({ '/version': VERSION, [`/networks/${ID}`]: listener });
    await assert.rejects(connectEngine(fake.address).removeNetwork(ID), {
      code: 'NETWORK_IN_USE',
      message: /has active endpoints/,
    });
  });
});
