import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { within } from '../bounds.ts';
import { type Answer, failureOf, fakeCloud, hangUp, inTurn, json, silence } from '../testing/fake-cloud.ts';
import type { Authentication } from './authentication.ts';
import { openSession, type Session, type SessionSettings } from './session.ts';

const cloud = await fakeCloud();
const sessions: Session[] = [];
after(() => {
  for (const session of sessions) session.close();
});

const authentication: Authentication = {
  kind: 'keystone',
  url: cloud.url,
  credentials: { kind: 'password', user: { id: 'u1' }, password: 'secret-word' },
  scope: { kind: 'project', project: { id: 'p1' } },
};
function open(settings: Partial<SessionSettings> = {}): Session {
  const session = openSession({ authentication, backOff: 1, ...settings });
  sessions.push(session);
  return session;
}

const endpoint = (kind: string, region: string, path = '') => ({
  interface: kind,
  region_id: region,
  region,
  url: `${cloud.url}${path}`,
});
const network = (...endpoints: readonly object[]) => ({ type: 'network', name: 'neutron', endpoints });
const everywhere = [network(endpoint('public', 'one'))];

interface Said {
  readonly text?: string;
  readonly life?: number;
  readonly catalog?: unknown;
}
function token({ text = 'T1', life = 3600, catalog = everywhere }: Said = {}): Answer {
  // Of a clock that is far from ours.
  const issued = Date.parse('2031-01-01T00:00:00.000000Z');
  const body = {
    token: {
      issued_at: new Date(issued).toISOString(),
      expires_at: new Date(issued + life * 1000).toISOString(),
      user: { id: 'u1', name: 'kuryr' },
      project: { id: 'p1', name: 'service' },
      roles: [{ name: 'member' }],
      catalog,
    },
  };
  return json(body, 201, { 'X-Subject-Token': text });
}
const refusal = json(
  { error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' } },
  401,
);
const TOKENS = 'POST /v3/auth/tokens';
const PORTS = 'GET /v2.0/ports';
const list = (session: Session) => session.call({ method: 'GET', path: '/ports' });
/** A Neutron that takes these tokens only. */
const takes =
  (...good: readonly string[]): Answer =>
  (asked, response, nth) =>
    (good.includes(String(asked.headers['x-auth-token'])) ? json({}) : refusal)(asked, response, nth);
const asking = (line: string) => cloud.lines.filter((asked) => asked === line).length;

describe('a session', () => {
  it('asks for one token, however many wait for it, and uses it', async () => {
    cloud.answer({ [TOKENS]: token(), [PORTS]: takes('T1') });
    const session = open();
    await Promise.all(Array.from({ length: 20 }, () => list(session)));
    await list(session);
    assert.equal(asking(TOKENS), 1);
    assert.equal(asking(PORTS), 21);
    assert.deepEqual(cloud.asked[0]?.body, {
      auth: {
        identity: { methods: ['password'], password: { user: { id: 'u1', password: 'secret-word' } } },
        scope: { project: { id: 'p1' } },
      },
    });
    assert.deepEqual(await session.identity(), {
      userId: 'u1',
      userName: 'kuryr',
      projectId: 'p1',
      projectName: 'service',
      roles: ['member'],
    });
  });

  it('renews a token that is refused, once, for all that it was refused to', async () => {
    cloud.answer({ [TOKENS]: inTurn(token(), token({ text: 'T2' })), [PORTS]: takes('T1') });
    const session = open();
    await list(session);
    // Younger ones are not renewed.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    cloud.answer({ [TOKENS]: inTurn(token(), token({ text: 'T2' })), [PORTS]: takes('T2') });
    await Promise.all(Array.from({ length: 20 }, () => list(session)));
    assert.equal(asking(TOKENS), 2);
  });

  it('renews it for POST as well: what was refused was not done', async () => {
    cloud.answer({ [TOKENS]: inTurn(token(), token({ text: 'T2' })), 'POST /v2.0/ports': takes('T2') });
    const session = open();
    await session.identity();
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await session.call({ method: 'POST', path: '/ports', body: {} });
    assert.equal(asking('POST /v2.0/ports'), 2);
  });

  it('does not ask for tokens without end where none is taken', async () => {
    cloud.answer({ [TOKENS]: token(), [PORTS]: refusal });
    const session = open();
    for (let i = 0; i < 5; i++) await assert.rejects(list(session), { code: 'KEYSTONE_REFUSED' });
    assert.equal(asking(TOKENS), 1);
  });

  it('tells what Keystone says of a wrong password, and does not try again', async () => {
    cloud.answer({ [TOKENS]: refusal });
    await assert.rejects(list(open()), {
      code: 'KEYSTONE_REFUSED',
      message: 'Keystone: POST /v3/auth/tokens answers 401: The request you have made requires authentication.',
    });
    assert.equal(asking(TOKENS), 1);
  });

  it('finds the URL of tokens below whatever Keystone is at', async () => {
    for (const [url, path] of [
      ['', '/v3'],
      ['/', '/v3'],
      ['/v3', '/v3'],
      ['/v3/', '/v3'],
      ['/v2.0', '/v3'],
      ['/identity', '/identity/v3'],
    ] as const) {
      cloud.answer({ [`POST ${path}/auth/tokens`]: token(), [PORTS]: takes('T1') });
      await list(open({ authentication: { ...authentication, url: cloud.url + url } }));
    }
  });

  it('asks Keystone again when the connection breaks, for a token too many harms nobody', async () => {
    cloud.answer({ [TOKENS]: inTurn(hangUp, token()), [PORTS]: takes('T1') });
    await list(open());
    assert.equal(asking(TOKENS), 2);
  });

  it('waits for Keystone no longer than it may, and others go on waiting', async () => {
    let answer: (() => void) | undefined;
    cloud.answer({
      [TOKENS]: (asked, response, nth) => {
        answer = () => token()(asked, response, nth);
      },
      [PORTS]: takes('T1'),
    });
    const session = open();
    const patient = list(session);
    await assert.rejects(session.call({ method: 'GET', path: '/ports', bounds: within(50) }), {
      code: 'OPENSTACK_TIMEOUT',
      message: /Keystone gives no token/,
    });
    await assert.rejects(session.identity({ signal: AbortSignal.abort() }), { code: 'OPENSTACK_TIMEOUT' });
    answer!();
    await patient;
    assert.equal(asking(TOKENS), 1);
  });

  const noTokens: readonly (readonly [string, Answer, RegExp])[] = [
    ['without the token', json({ token: {} }, 201, { 'X-Subject-Token': 'x' }), /what is no token: token\./],
    [
      'without the header',
      json(
        { token: { issued_at: '2031-01-01T00:00:00Z', expires_at: '2031-01-01T01:00:00Z', user: { id: 'u' } } },
        201,
      ),
      /X-Subject-Token is missing/,
    ],
    ['that has ended before it began', token({ life: -1 }), /gives a token from/],
    [
      'that is a web page',
      (_, response) => void response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>Hi'),
      /not JSON, text\/html, "Hi"/,
    ],
    [
      'that knows no such path',
      (_, response) => void response.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>Not Found'),
      /404, text\/html, "Not Found"/,
    ],
  ];
  for (const [title, answer, message] of noTokens)
    it(`says so of an answer ${title}`, async () => {
      cloud.answer({ [TOKENS]: answer });
      await assert.rejects(list(open()), { code: 'OPENSTACK_BAD_ANSWER', message });
    });
});

describe('the catalogue', () => {
  const at = async (catalog: unknown, settings: Partial<SessionSettings>) => {
    cloud.answer({ [TOKENS]: token({ catalog }) });
    return (await open(settings).endpoint()).replace(cloud.url, '');
  };
  const two = [
    network(
      endpoint('internal', 'one', '/i1'),
      endpoint('public', 'one', '/p1/v2.0/'),
      endpoint('public', 'two', '/p2'),
    ),
    { type: 'identity', name: 'keystone', endpoints: [] },
  ];

  it('is read by region and interface', async () => {
    assert.equal(await at(two, {}), '/p1/v2.0');
    assert.equal(await at(two, { region: 'two' }), '/p2/v2.0');
    assert.equal(await at(two, { interfaces: ['internal'] }), '/i1/v2.0');
    assert.equal(await at(two, { interfaces: ['admin', 'internal'] }), '/i1/v2.0');
    assert.equal(await at(two, { serviceName: 'neutron' }), '/p1/v2.0');
  });

  const wrong: readonly (readonly [string, unknown, Partial<SessionSettings>, RegExp])[] = [
    [
      'no such region',
      two,
      { region: 'three' },
      /no public endpoint for 'network' in the region 'three'; it has internal in one, public in one, public in two/,
    ],
    ['no such interface', two, { interfaces: ['admin'] }, /no admin endpoint/],
    ['no such service', [two[1]], {}, /no service of type 'network'; it has identity/],
    ['no such name', two, { serviceName: 'quantum' }, /type 'network' called 'quantum'/],
    ['nothing, as for a token without a project', [], {}, /it is empty: the token has no project/],
    [
      'a URL that is none',
      [network({ ...endpoint('public', 'one'), url: 'neutron:9696' })],
      {},
      /'neutron:9696' is not the URL of Neutron/,
    ],
  ];
  for (const [title, catalog, settings, message] of wrong)
    it(`has ${title}`, async () => {
      await assert.rejects(at(catalog, settings), { code: 'OPENSTACK_NO_ENDPOINT', message });
    });

  it('is not asked where the URL is given', async () => {
    cloud.answer({ [TOKENS]: token({ catalog: [] }), [PORTS]: takes('T1') });
    await list(open({ endpointOverride: `${cloud.url}/` }));
  });
});

describe('without Keystone', () => {
  const headers = async (given: Authentication) => {
    cloud.answer({ [PORTS]: json({}) });
    await list(open({ authentication: given, endpointOverride: cloud.url }));
    return cloud.asked.at(-1)!.headers;
  };
  it('nothing, a password or a fixed token is sent', async () => {
    assert.equal((await headers({ kind: 'none' }))['x-auth-token'], undefined);
    const { authorization } = await headers({ kind: 'basic', user: 'a', password: 'b:c' });
    assert.equal(authorization, `Basic ${Buffer.from('a:b:c').toString('base64')}`);
    assert.equal((await headers({ kind: 'fixed token', token: 'T9' }))['x-auth-token'], 'T9');
    assert.equal(await open({ authentication: { kind: 'none', endpoint: cloud.url } }).identity(), undefined);
  });

  it('the URL of Neutron must be given', () => {
    assert.throws(() => open({ authentication: { kind: 'none' } }), { code: 'BAD_CONFIG' });
  });
});

describe('certificates', () => {
  for (const tls of [
    { cafile: '/nowhere.pem' },
    { cafile: import.meta.filename },
    { keyfile: '/k' },
    { certfile: import.meta.filename },
  ])
    it(`that cannot be used are told at the beginning: ${Object.keys(tls)[0]}`, () => {
      assert.throws(() => open({ tls }), { code: 'BAD_CONFIG' });
    });
});

it('is silent of the password in all of this', async () => {
  cloud.answer({ [TOKENS]: silence });
  const failure = await failureOf(list(open({ callLimit: 50 })));
  assert.doesNotMatch(JSON.stringify([String(failure), failure]), /secret-word/);
});
