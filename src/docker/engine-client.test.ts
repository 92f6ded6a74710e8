import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { formatAddress } from '../model/address.ts';
import { formatPrefix } from '../model/prefix.ts';
import { connectEngine } from './engine-client.ts';
import { fakeEngineForEach, VERSION } from './testing/fake-engine.ts';

const id = (digit: string) => digit.repeat(64);
const INFO = {
  ID: 'engine-1',
  ServerVersion: '28.5.2',
  LiveRestoreEnabled: true,
  Swarm: { LocalNodeState: 'inactive' },
};
const unreachable = (pattern: RegExp) => ({ name: 'BerthError', code: 'ENGINE_UNREACHABLE', message: pattern });

const fake = fakeEngineForEach();

describe('info', () => {
  it('tells the engine apart and speaks the newest version that both know', async () => {
    await fake.answer({ '/version': VERSION, '/info': INFO });
    assert.deepEqual(await connectEngine(fake.address).info(), {
      id: 'engine-1',
      version: '28.5.2',
      apiVersion: '1.44',
      liveRestore: true,
      clusterStore: false,
      swarm: false,
      manager: false,
      drivers: [],
    });
    assert.deepEqual(fake.asked, ['/version', '/v1.44/info']);
  });

  const negotiated = [
    ['an old engine', { ApiVersion: '1.41', MinAPIVersion: '1.12' }, '1.41'],
    ['two digits against one', { ApiVersion: '1.9', MinAPIVersion: '' }, '1.9'],
    ['an engine that has dropped ours', { ApiVersion: '1.60', MinAPIVersion: '1.50' }, '1.50'],
    ['no least version', { ApiVersion: '1.30' }, '1.30'],
  ] as const;
  for (const [title, version, expected] of negotiated)
    it(`negotiates with ${title}`, async () => {
      await fake.answer({ '/version': version, '/info': { ID: 'x' } });
      const info = await connectEngine(fake.address).info();
      assert.deepEqual(info, {
        id: 'x',
        version: '',
        apiVersion: expected,
        liveRestore: false,
        clusterStore: false,
        swarm: false,
        manager: false,
        drivers: [],
      });
    });

  it('negotiates anew each time, for the engine may have been upgraded', async () => {
    let current = '1.41';
    await fake.answer({
      '/version': ((_request, response) => response.end(JSON.stringify({ ApiVersion: current }))) as RequestListener,
      '/info': { ID: 'x', Swarm: { LocalNodeState: 'active' } },
    });
    const engine = connectEngine(fake.address);
    assert.equal((await engine.info()).apiVersion, '1.41');
    current = '1.43';
    const { apiVersion, swarm } = await engine.info();
    assert.deepEqual([apiVersion, swarm], ['1.43', true]);
  });
});

describe('networks', () => {
  const network = (digit: string, more: object = {}) => ({
    Id: id(digit),
    Name: `n${digit}`,
    Driver: 'berth',
    Scope: 'local',
    Internal: false,
    Options: { mtu: '1400' },
    Labels: { 'net.berth.cluster': 'blue:shop' },
    IPAM: {
      Driver: 'berth',
      Options: { tenant: 'blue' },
      Config: [
        {
          Subnet: '10.1.0.0/24',
          IPRange: '10.1.0.64/26',
          Gateway: '10.1.0.1',
          AuxiliaryAddresses: { nas: '10.1.0.9', junk: 'x' },
        },
      ],
    },
    ...more,
  });

  it('reads subnets, options and running endpoints', async () => {
    const full = network('1', {
      Containers: {
        [id('c')]: {
          Name: 'web',
          EndpointID: id('e'),
          MacAddress: '02:42:0a:01:00:05',
          IPv4Address: '10.1.0.5/24',
          IPv6Address: 'fd00::5/64',
        },
        'ep-x': { Name: 'x', EndpointID: '', IPv4Address: '' },
      },
    });
    await fake.answer({ '/version': VERSION, '/networks': [network('1')], [`/networks/${id('1')}`]: full });
    const [found, ...more] = await connectEngine(fake.address).networks();
    assert.deepEqual(more, []);
    assert.deepEqual(
      { ...found, subnets: undefined, endpoints: undefined },
      {
        id: id('1'),
        name: 'n1',
        driver: 'berth',
        ipamDriver: 'berth',
        scope: 'local',
        internal: false,
        options: { mtu: '1400' },
        ipamOptions: { tenant: 'blue' },
        labels: { 'net.berth.cluster': 'blue:shop' },
        subnets: undefined,
        endpoints: undefined,
      },
    );
    assert.deepEqual(
      found!.subnets.map((s) => [
        formatPrefix(s.subnet),
        formatPrefix(s.range!),
        formatAddress(s.gateway!),
        Object.entries(s.auxiliary).map(([name, held]) => `${name} ${formatAddress(held)}`),
      ]),
      [['10.1.0.0/24', '10.1.0.64/26', '10.1.0.1', ['nas 10.1.0.9']]],
    );
    assert.deepEqual(
      found!.endpoints.map((e) => ({ ...e, addresses: e.addresses.map(formatPrefix) })),
      [
        {
          id: id('e'),
          container: id('c'),
          name: 'web',
          addresses: ['10.1.0.5/24', 'fd00::5/64'],
          mac: '02:42:0a:01:00:05',
        },
      ],
    );
  });

  it('knows a managed plugin by its own name, without the place and the tag', async () => {
    const drivers = ['berth:latest', 'registry.example:5000/team/berth:2.1', 'berth', 'odd:'];
    const networks = drivers.map((driver, n) => network(`${n + 1}`, { Driver: driver, IPAM: { Driver: driver } }));
    const each = Object.fromEntries(networks.map((one) => [`/networks/${one.Id}`, one]));
    await fake.answer({ '/version': VERSION, '/networks': networks, ...each });
    const found = await connectEngine(fake.address).networks();
    assert.deepEqual(
      found.map(({ driver, ipamDriver }) => [driver, ipamDriver]),
      ['berth', 'berth', 'berth', 'odd:'].map((name) => [name, name]),
    );
  });

  it('reads what engines leave out or write their own way', async () => {
    const networks = [
      {
        Id: id('1'),
        Name: 'none',
        Driver: 'null',
        Options: null,
        IPAM: { Driver: 'default', Config: null },
        Containers: null,
      },
      {
        Id: id('2'),
        Name: 'old',
        Driver: 'bridge',
        IPAM: { Config: [{ Subnet: '10.2.0.7/24', Gateway: '10.2.0.1/24' }, { Subnet: 'junk' }] },
      },
      { Id: id('3'), Name: 'named', Driver: 'bridge', Options: { 'com.docker.network.bridge.name': 'docker0' } },
      { Id: 'not an id', Name: 'odd' },
    ];
    await fake.answer({ '/version': VERSION, '/networks': networks });
    const found = await connectEngine(fake.address).networks(() => false);
    assert.deepEqual(
      found.map((n) => [
        n.name,
        n.bridge,
        n.subnets.map((s) => `${formatPrefix(s.subnet)} ${s.gateway ? formatAddress(s.gateway) : ''}`),
      ]),
      [
        ['none', undefined, []],
        ['old', `br-${'2'.repeat(12)}`, ['10.2.0.0/24 10.2.0.1']],
        ['named', 'docker0', []],
      ],
    );
    assert.deepEqual(fake.asked, ['/version', '/v1.44/networks']);
  });

  it('inspects only what is fake.asked for, and skips what went away in between', async () => {
    const listed = [network('1'), network('2'), network('3', { Driver: 'bridge' })];
    await fake.answer({ '/version': VERSION, '/networks': listed, [`/networks/${id('1')}`]: network('1') });
    const found = await connectEngine(fake.address).networks((n) => n.driver === 'berth');
    assert.deepEqual(
      found.map((n) => n.name),
      ['n1', 'n3'],
    );
    assert.deepEqual(fake.asked.slice(2).sort(), [`/v1.44/networks/${id('1')}`, `/v1.44/networks/${id('2')}`]);
  });

  it('inspects four at a time', async () => {
    const digits = '0123456789abcdef'.split('');
    let most = 0;
    let waiting: (() => void)[] = [];
    /** Answers those that wait as soon as there are four; a moment later, so that a fifth would be seen. */
    const wait = (answer: () => void): void => {
      most = Math.max(most, waiting.push(answer));
      if (waiting.length !== 4) return;
      setTimeout(() => {
        const all = waiting;
        waiting = [];
        for (const one of all) one();
      }, 20);
    };
    const answers: Record<string, unknown> = { '/version': VERSION, '/networks': digits.map((d) => network(d)) };
    for (const d of digits)
      answers[`/networks/${id(d)}`] = ((_request, response) =>
        wait(() => response.end(JSON.stringify(network(d))))) as RequestListener;
    await fake.answer(answers);
    const found = await connectEngine(fake.address).networks();
    assert.deepEqual(
      found.map((n) => n.name),
      digits.map((d) => `n${d}`),
    );
    assert.equal(most, 4);
  });
});

describe('containers', () => {
  it('are listed with their networks, and with what Compose calls them', async () => {
    const labels = {
      'com.docker.compose.project': 'shop',
      'com.docker.compose.service': 'web',
      'com.docker.compose.container-number': '2',
    };
    await fake.answer({
      '/version': VERSION,
      '/containers/json': [
        {
          Id: id('a'),
          Names: ['/db/alias', '/shop-web-2'],
          State: 'exited',
          Labels: labels,
          NetworkSettings: { Networks: { lan: { NetworkID: id('b') }, far: { NetworkID: '' }, gone: null } },
        },
        { Id: id('c'), Names: null, State: 'paused', Labels: null },
      ],
    });
    assert.deepEqual(await connectEngine(fake.address).containers(), [
      {
        id: id('a'),
        name: 'shop-web-2',
        running: false,
        compose: { project: 'shop', service: 'web', number: '2' },
        networks: [{ key: 'lan', id: id('b') }, { key: 'far' }, { key: 'gone' }],
      },
      { id: id('c'), name: '', running: true, networks: [] },
    ]);
    assert.deepEqual(fake.asked, ['/version', '/v1.44/containers/json?all=1']);
  });

  it('tell where their root file system is, and their ports', async () => {
    const driver = { Name: 'overlay2', Data: { MergedDir: '/var/lib/docker/overlay2/x/merged' } };
    await fake.answer({
      '/version': VERSION,
      '/containers/web/json': {
        Id: id('a'),
        Name: '/web',
        Config: { Hostname: 'web', ExposedPorts: { '80/tcp': {}, '443/tcp': {} } },
        GraphDriver: driver,
      },
    });
    const found = await connectEngine(fake.address).container('web');
    assert.deepEqual([found?.root, found?.exposes], [driver.Data.MergedDir, ['443/tcp', '80/tcp']]);
  });

  it('tell what they are called besides, on each of their networks', async () => {
    const networks = {
      shop: { EndpointID: id('e'), Aliases: ['api', id('a').slice(0, 12)] },
      back: { EndpointID: id('f'), Aliases: null },
      stopped: { EndpointID: '', Aliases: ['api'] },
    };
    await fake.answer({
      '/version': VERSION,
      '/containers/web/json': { Id: id('a'), Name: '/web', NetworkSettings: { Networks: networks } },
    });
    const found = await connectEngine(fake.address).container('web');
    assert.deepEqual(found?.aliases, new Map([[id('e'), ['api']]]));
  });
});

describe('failures', () => {
  it('nobody listens', async () => {
    await assert.rejects(connectEngine(fake.address).info(), unreachable(/cannot be reached: .*ENOENT/));
  });

  it('a connection that hangs', async () => {
    await fake.answer({ '/version': () => undefined });
    await assert.rejects(
      connectEngine(fake.address, { deadlineMs: 100 }).info(),
      unreachable(/does not answer GET \/version within 0\.1 s/),
    );
  });

  it('a connection that hangs when nobody waits for it any more', async () => {
    await fake.answer({ '/version': () => undefined });
    const ending = new AbortController();
    const asking = assert.rejects(
      connectEngine(fake.address, { signal: ending.signal }).info(),
      unreachable(/cannot be reached: .*aborted/),
    );
    ending.abort();
    await asking;
  });

  it('an answer that hangs in the middle', async () => {
    await fake.answer({ '/version': ((_request, response) => response.write('{"ApiV')) as RequestListener });
    await assert.rejects(connectEngine(fake.address, { deadlineMs: 100 }).info(), unreachable(/within 0\.1 s/));
  });

  it('a network that hangs while it is inspected fails the whole within its own deadline', async () => {
    const listed = Array.from({ length: 16 }, (_, i) => ({ Id: id(i.toString(16)), Name: 'n' }));
    const hang = Object.fromEntries(listed.map((n) => [`/networks/${n.Id}`, () => undefined]));
    await fake.answer({ '/version': VERSION, '/networks': listed, ...hang });
    // Long enough for a busy machine to come as far as that.
    await assert.rejects(connectEngine(fake.address, { deadlineMs: 2000 }).networks(), unreachable(/within 2 s/));
    assert.equal(fake.asked.length, 2 + 4);
  });

  it('a connection that breaks off', async () => {
    await fake.answer({ '/version': ((request) => request.socket.destroy()) as RequestListener });
    await assert.rejects(connectEngine(fake.address).info(), unreachable(/cannot be reached: socket hang up/));
  });

  it('garbage', async () => {
    await fake.answer({ '/version': ((_request, response) => response.end('<html>\u001b[31m')) as RequestListener });
    await assert.rejects(connectEngine(fake.address).info(), unreachable(/not JSON: "<html>\\u\{1b\}\[31m"$/));
  });

  it('JSON of another kind', async () => {
    await fake.answer({ '/version': VERSION, '/networks': { message: 'x' }, '/info': { ID: null } });
    await assert.rejects(
      connectEngine(fake.address).networks(),
      unreachable(/answers \/networks with the answer wrong/),
    );
    await assert.rejects(connectEngine(fake.address).info(), unreachable(/answers \/info with ID wrong/));
  });

  it('an error of the engine, on one line', async () => {
    await fake.answer({ '/version': VERSION, '/info': 500 });
    await assert.rejects(
      connectEngine(fake.address).info(),
      unreachable(/answers 500 to GET \/v1.44\/info: no such\\u\{a\}luck/),
    );
  });

  it('another kind of address', () => {
    for (const wrong of ['http://x', 'unix://relative', '/run/docker.sock', 'tcp://', ''])
      assert.throws(() => connectEngine(wrong), { code: 'BAD_CONFIG' }, wrong);
  });

  it('works again when the engine is back, with another version', async () => {
    const engine = connectEngine(fake.address);
    await assert.rejects(engine.networks(), unreachable(/ENOENT/));
    await fake.answer({ '/version': { ApiVersion: '1.42' }, '/networks': [] });
    assert.deepEqual(await engine.networks(), []);
    assert.equal(fake.asked.at(-1), '/v1.42/networks');
  });
});

describe('recovery', () => {
  it('negotiates again after a failure', async () => {
    let version = '1.41';
    let works = true;
    await fake.answer({
      '/version': ((_request, response) => response.end(JSON.stringify({ ApiVersion: version }))) as RequestListener,
      '/networks': ((_request, response) => response.writeHead(works ? 200 : 400).end('[]')) as RequestListener,
    });
    const engine = connectEngine(fake.address);
    await engine.networks();
    await engine.networks();
    assert.deepEqual(fake.asked, ['/version', '/v1.41/networks', '/v1.41/networks']);
    works = false;
    await assert.rejects(engine.networks(), unreachable(/answers 400/));
    works = true;
    version = '1.43';
    await engine.networks();
    assert.equal(fake.asked.at(-1), '/v1.43/networks');
  });

  it('asks again when a kept connection turns out to be closed', async () => {
    const used = new Set<unknown>();
    const onceEach: RequestListener = (request, response) => {
      if (used.has(request.socket)) request.socket.destroy();
      else response.end(JSON.stringify(request.url === '/version' ? VERSION : []));
      used.add(request.socket);
    };
    await fake.answer({ '/version': onceEach, '/networks': onceEach });
    const engine = connectEngine(fake.address);
    assert.deepEqual(await engine.networks(), []);
    assert.deepEqual(await engine.networks(), []);
    assert.ok(used.size >= 2);
  });

  it('begins nothing more after a failure', async () => {
    const listed = Array.from({ length: 16 }, (_, i) => ({ Id: id(i.toString(16)), Name: 'n' }));
    const slow: ServerResponse[] = [];
    let failing: ServerResponse | undefined;
    /** Fails once all four are there. */
    const arrived = () => {
      if (slow.length === 3) failing?.writeHead(500).end('{}');
    };
    const wait: RequestListener = (_request, response) => {
      slow.push(response);
      arrived();
    };
    const fail: RequestListener = (_request, response) => {
      failing = response;
      arrived();
    };
    const inspects = Object.fromEntries(listed.map((n) => [`/networks/${n.Id}`, wait]));
    await fake.answer({ '/version': VERSION, '/networks': listed, ...inspects, [`/networks/${id('0')}`]: fail });
    await assert.rejects(connectEngine(fake.address).networks(), unreachable(/answers 500/));
    // The others are answered after that.
    for (const response of slow) response.end(JSON.stringify(listed[1]));
    await Promise.all(slow.map((response) => once(response, 'close')));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(fake.asked.length, 2 + 4);
  });
});
