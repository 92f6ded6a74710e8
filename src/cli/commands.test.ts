import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  AttachmentView,
  DriftView,
  EndpointView,
  GarbageView,
  LeaseView,
  NetworkView,
  PoolView,
  ReservationView,
  StatusView,
} from '../agent/api.ts';
import { berth, fakeAgent, sendError } from './fake-agent.ts';

const id = (letter: string): string => letter.repeat(64);

const networks: readonly NetworkView[] = [
  {
    id: id('a'),
    name: 'shop',
    fabric: 'cluster',
    plugin: 'berth',
    subnets: [{ subnet: '10.201.0.0/24', gateway: '10.201.0.1', auxiliary: {} }],
    internal: false,
    mtu: 1500,
    options: {},
    settings: {},
    endpoints: 2,
    objects: ['link/bt0'],
    createdAt: '2026-11-20T11:00:00Z',
  },
  {
    id: id('b'),
    fabric: 'lan',
    plugin: 'local',
    subnets: [],
    internal: false,
    options: {},
    settings: {},
    endpoints: 0,
    objects: [],
    createdAt: '2026-11-20T11:59:30Z',
  },
];

const endpoints: readonly EndpointView[] = [
  {
    id: id('e'),
    network: id('a'),
    networkName: 'shop',
    container: 'web',
    phase: 'attached',
    addresses: ['10.201.0.2/24'],
    mac: '02:02:0a:c9:00:02',
    link: 'be0',
    publishes: false,
    options: {},
    objects: [],
    conflicts: [],
    names: [],
    createdAt: '2026-11-20T11:00:00Z',
  },
];

const pools: readonly PoolView[] = [
  {
    id: 'local/10.201.0.0-24',
    space: 'local',
    subnet: '10.201.0.0/24',
    released: false,
    leases: 2,
    size: '254',
    networks: [id('a')],
    createdAt: '2026-11-20T11:00:00Z',
  },
];

const leases: readonly LeaseView[] = [
  {
    pool: 'local/10.201.0.0-24',
    address: '10.201.0.2',
    kind: 'endpoint',
    endpoint: id('e'),
    container: 'web',
    mac: '02:02:0a:c9:00:02',
    engine: 'x',
    createdAt: '2026-11-20T11:00:00Z',
  },
];

const status: StatusView = {
  healthy: true,
  problems: [],
  version: '0.1.0',
  pid: 42,
  startedAt: '2026-11-20T11:00:00Z',
  stateDir: '/var/lib/berth',
  store: { kind: 'sqlite', revision: 9 },
  engine: { address: 'unix:///run/docker.sock', reachable: true, version: '28.5.2' },
  plugins: [{ name: 'berth', fabric: 'cluster', scope: 'local', address: 'unix:///run/docker/plugins/berth.sock' }],
  counts: { networks: 2, endpoints: 1, attachments: 0, pools: 1, leases: 1 },
  audit: { drifts: 0, repaired: 0, objects: 5 },
  journal: { pending: 0 },
  conflicts: [],
};

const world = {
  'GET /v1/status': status,
  'GET /v1/networks': networks,
  'GET /v1/networks/shop': networks[0],
  'GET /v1/endpoints': endpoints,
  'GET /v1/pools': pools,
  'GET /v1/pools/local%2F10.201.0.0-24': pools[0],
  'GET /v1/leases': leases,
  'GET /v1/leases?pool=local%2F10.201.0.0-24': leases,
  'GET /v1/leases/10.201.0.2': leases,
};

describe('lists', () => {
  it('are tables with short ids', async () => {
    await using agent = await fakeAgent(world);
    const { code, stdout, stderr } = await berth(['--run-dir', agent.runDir, 'network', 'ls']);
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.equal(
      stdout,
      `ID            NAME  PLUGIN  FABRIC   SUBNET         GATEWAY      MTU  ENDPOINTS     AGE
aaaaaaaaaaaa  shop  berth   cluster  10.201.0.0/24  10.201.0.1  1500          2  60 min
bbbbbbbbbbbb  -     local   lan      -              -              -          0    30 s
`,
    );
  });

  for (const kind of ['network', 'endpoint', 'pool', 'lease']) {
    it(`of each ${kind}: text, JSON as the agent gave it, ids alone, the alias`, async () => {
      await using agent = await fakeAgent(world);
      const run = (...words: string[]) => berth([kind, ...words, '--run-dir', agent.runDir]);
      const views = world[`GET /v1/${kind}s` as keyof typeof world];
      assert.deepEqual(JSON.parse((await run('ls', '--json')).stdout), views);
      assert.equal((await run('list')).stdout, (await run('ls')).stdout);
      const quiet = await run('ls', '-q');
      assert.equal(quiet.stdout.split('\n').length - 1, (views as unknown[]).length);
      assert.doesNotMatch(quiet.stdout, /[A-Z]{2}|a{13}/);
    });
  }

  it('have whole ids with --no-trunc', async () => {
    await using agent = await fakeAgent(world);
    const { stdout } = await berth(['network', 'ls', '--no-trunc', '-q', '--run-dir', agent.runDir]);
    assert.equal(stdout, `${id('a')}\n${id('b')}\n`);
  });

  it('of leases can be those of one pool', async () => {
    await using agent = await fakeAgent(world);
    const { stdout } = await berth(['lease', 'ls', '-q', '--pool', 'local/10.201.0.0-24', '--run-dir', agent.runDir]);
    assert.equal(stdout, '10.201.0.2\n');
  });
});

describe('inspect', () => {
  it('prints everything, of several things', async () => {
    await using agent = await fakeAgent(world);
    const { code, stdout } = await berth([
      'pool',
      'show',
      'local/10.201.0.0-24',
      'local/10.201.0.0-24',
      '--run-dir',
      agent.runDir,
    ]);
    assert.equal(code, 0);
    assert.match(stdout, /^id: local\/10\.201\.0\.0-24\n(.*\n)*\nid: local/);
  });

  it('as JSON is an array, also of one', async () => {
    await using agent = await fakeAgent(world);
    const one = await berth(['network', 'inspect', 'shop', '--json', '--run-dir', agent.runDir]);
    assert.deepEqual(JSON.parse(one.stdout), [networks[0]]);
    const lease = await berth(['lease', 'inspect', '10.201.0.2', '--json', '--run-dir', agent.runDir]);
    assert.deepEqual(JSON.parse(lease.stdout), leases);
  });

  it('of what is not there names what is similar, and exits 4', async () => {
    await using agent = await fakeAgent({
      ...world,
      'GET /v1/networks/shp': (_: unknown, response: Parameters<typeof sendError>[0]) =>
        sendError(response, 404, 'NETWORK_UNKNOWN', `there is no network 'shp'`),
    });
    const { code, stdout, stderr } = await berth(['network', 'inspect', 'shp', '--run-dir', agent.runDir]);
    assert.equal(code, 4);
    assert.equal(stdout, '');
    assert.equal(stderr, "berth: there is no network 'shp'\n  similar: shop\n  next: Do what NETWORK_UNKNOWN says.\n");
  });
});

describe('status', () => {
  it('says how everything is', async () => {
    await using agent = await fakeAgent(world);
    const { code, stdout } = await berth(['status', '--run-dir', agent.runDir]);
    assert.equal(code, 0);
    assert.match(stdout, /^healthy\nagent {4}version 0\.1\.0, pid 42, up 60 min\nengine {3}Docker 28\.5\.2 at unix/);
  });

  it('names what is wrong, and exits 1', async () => {
    const ill = {
      ...status,
      healthy: false,
      problems: ['the store is read-only'],
      engine: { address: 'unix:///x', reachable: false },
    };
    await using agent = await fakeAgent({ 'GET /v1/status': ill });
    const { code, stdout } = await berth(['status', '--run-dir', agent.runDir]);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^not healthy\n {2}! the store is read-only\n(.*\n)*engine {3}not reachable at unix:\/\/\/x\n/,
    );
  });
});

describe('audit', () => {
  const drift: DriftView = {
    key: 'link/bt0',
    owners: ['network/shop'],
    what: 'different',
    fields: [{ name: 'mtu', declared: '1500', found: '9000' }],
    repaired: false,
  };
  const asks = (drifts: readonly DriftView[]) => ({
    'POST /v1/audit': (request: AsyncIterable<Buffer>, response: { end(text: string): void }) => {
      void (async () => {
        let body = '';
        for await (const chunk of request) body += chunk.toString();
        const { repair } = JSON.parse(body) as { repair: boolean };
        response.end(JSON.stringify(drifts.map((one) => ({ ...one, repaired: repair && one.error === undefined }))));
      })();
    },
  });

  const cases: readonly (readonly [name: string, drifts: DriftView[], words: string[], code: number, text: RegExp])[] =
    [
      ['nothing differs', [], [], 0, /^no drift/],
      [
        'something differs',
        [drift],
        [],
        1,
        /^link\/bt0 is different \(drifted\)\n.*network\/shop\n.*mtu: declared 1500, found 9000\n1 remain, 0 repaired\n$/,
      ],
      ['all is repaired', [drift], ['--repair'], 0, /\(repaired\)(.*\n)*1 repaired\n$/],
      [
        'a part is repaired',
        [drift, { ...drift, error: 'busy' }],
        ['--repair'],
        1,
        /not repaired: busy(.*\n)*1 remain, 1 repaired\n$/,
      ],
    ];
  for (const [name, drifts, words, code, text] of cases) {
    it(`exits ${code} when ${name}`, async () => {
      await using agent = await fakeAgent(asks(drifts));
      const outcome = await berth(['audit', ...words, '--run-dir', agent.runDir]);
      assert.match(outcome.stdout, text);
      assert.equal(outcome.code, code);
    });
  }
});

describe('gc', () => {
  const garbage: readonly GarbageView[] = [
    { kind: 'lease', id: '10.1.0.9', reason: 'the engine does not know its container', removed: false },
  ];
  it('only looks, and says how to go on', async () => {
    await using agent = await fakeAgent({ 'POST /v1/gc': garbage });
    const { code, stdout } = await berth(['gc', '--run-dir', agent.runDir]);
    assert.equal(code, 0);
    assert.match(stdout, /lease {2}10\.1\.0\.9 {2}no {7}the engine does not know/);
    assert.match(stdout, /Nothing was removed\. To remove them: berth gc --apply\n$/);
  });
  it('exits 1 when something could not be removed', async () => {
    await using agent = await fakeAgent({ 'POST /v1/gc': garbage });
    assert.equal((await berth(['gc', '--apply', '--run-dir', agent.runDir])).code, 1);
  });
});

it('events: a line each, until the agent ends', async () => {
  const events = [
    { time: '2026-11-20T12:00:00Z', event: 'endpoint.attached', message: 'web is on shop', attributes: {} },
    { time: '2026-11-20T12:00:01Z', event: 'drift.repaired', message: 'bt0 is back', attributes: {} },
  ];
  await using agent = await fakeAgent({
    'GET /v1/events': (_: unknown, response: { write(text: string): void; end(): void }) => {
      for (const event of events) response.write(`${JSON.stringify(event)}\n`);
      response.end();
    },
  });
  const text = await berth(['events', '--run-dir', agent.runDir]);
  assert.equal(
    text.stdout,
    '2026-11-20T12:00:00Z  endpoint.attached     web is on shop\n2026-11-20T12:00:01Z  drift.repaired        bt0 is back\n',
  );
  assert.equal(text.code, 3);
  const json = await berth(['events', '--json', '--run-dir', agent.runDir]);
  assert.deepEqual(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    events,
  );
});

it('version: of both, and of this command alone', async () => {
  await using agent = await fakeAgent(world);
  const both = await berth(['version', '--json', '--run-dir', agent.runDir]);
  assert.deepEqual(JSON.parse(both.stdout), { version: '0.1.0', agent: '0.1.0' });
  const alone = await berth(['version', '--run-dir', '/nonexistent']);
  assert.equal(alone.stdout, 'berth 0.1.0\nagent does not answer\n');
  assert.equal(alone.code, 0);
});

it('confirm asks the agent to keep the bridge', async () => {
  await using agent = await fakeAgent({ 'POST /v1/networks/shop/confirm': networks[0] });
  const { stdout } = await berth(['network', 'confirm', 'shop', '--run-dir', agent.runDir]);
  assert.equal(stdout, 'shop is confirmed\n');
});

describe('what somebody has made is listed below the command that makes it, too', () => {
  const createdAt = '2026-11-20T11:00:00Z';
  const reservation: ReservationView = { address: '10.1.0.20', subnet: '10.1.0.0/24', container: 'web', createdAt };
  const attachment: AttachmentView = {
    id: id('c'),
    container: 'web',
    containerId: id('d'),
    interface: 'eth1',
    network: id('a'),
    networkName: 'lan',
    adHoc: false,
    addresses: ['10.1.0.9/24'],
    gateways: [],
    mac: '02:02:0a:c9:00:02',
    state: 'plugged',
    keep: false,
    networkOptions: {},
    options: {},
    objects: [],
    createdAt,
  };
  const answers = { 'GET /v1/reservations': [reservation], 'GET /v1/attachments': [attachment] };
  for (const [short, long] of [
    ['reserve', 'reservation'],
    ['attach', 'attachment'],
  ] as const) {
    it(`berth ${short} ls`, async () => {
      await using agent = await fakeAgent(answers);
      const [listed, same, quiet] = await Promise.all(
        [
          [short, 'ls'],
          [long, 'ls'],
          [short, 'list', '-q'],
        ].map((words) => berth([...words, '--run-dir', agent.runDir])),
      );
      assert.deepEqual(listed, same);
      assert.equal(listed!.stderr, '');
      assert.match(listed!.stdout, /web/);
      assert.equal(quiet!.code, 0);
      assert.doesNotMatch(quiet!.stdout, /web/);
    });
  }
});
