/** `berth ping` and `berth test` on the command line. */

import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import type { EchoView, PartyView, PingView, ReachTargetView } from '../agent/api.ts';
import { berth, fakeAgent, sendError } from './fake-agent.ts';

const party = (host: string, name: string, id: string): PartyView => ({
  kind: 'container',
  name,
  host,
  endpoint: id,
  network: 'default:shop',
  addresses: ['10.1.0.2'],
});
const web = party('h1', 'web', 'e1');
const db = party('h2', 'db', 'e2');
const echo: EchoView = {
  address: '10.1.0.3',
  sent: 5,
  received: 5,
  rtt: { least: 0.1, median: 0.2, most: 0.9 },
  mtu: 1450,
  interfaceMtu: 1450,
  obstacles: [],
};
const silent: EchoView = { address: '10.1.0.3', sent: 5, received: 0, obstacles: [{ code: 'EHOSTUNREACH' }] };

async function body(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text) as Record<string, unknown>;
}

describe('berth ping', () => {
  const view: PingView = {
    from: web,
    to: db,
    echoes: [echo],
    path: [
      { host: 'h1', kind: 'interface', name: 'eth0 in web', mtu: 1450 },
      { host: 'h2', kind: 'interface', name: 'eth0 in db', mtu: 1450, problem: 'is down' },
    ],
    problems: [],
  };

  it('prints the answer, the way, and what is wrong', async () => {
    await using agent = await fakeAgent({ 'POST /v1/ping': view });
    const { stdout, code } = await berth(['ping', 'web', 'h2/db', '--run-dir', agent.runDir]);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      `h1/web on default:shop → h2/db on default:shop
  10.1.0.3: round trip 0.2 ms (0.1 to 0.9), largest packet 1450 bytes

   HOST  LINK       NAME          MTU
   h1    interface  eth0 in web  1450
!  h2    interface  eth0 in db   1450  is down
`,
    );
  });

  it('fails with what is wrong', async () => {
    const problems = ['10.1.0.3 does not answer: h2 is down'];
    await using agent = await fakeAgent({ 'POST /v1/ping': { ...view, echoes: [silent], problems } });
    const { stdout, code } = await berth(['ping', 'web', 'db', '--run-dir', agent.runDir]);
    assert.equal(code, 1);
    assert.match(stdout, /^ {2}10\.1\.0\.3: no answer to 5 packets$/m);
    assert.match(stdout, /\n\n! 10\.1\.0\.3 does not answer: h2 is down\n$/);
    const json = await berth(['ping', 'web', 'db', '--json', '--run-dir', agent.runDir]);
    assert.equal(json.code, 1);
    assert.deepEqual((JSON.parse(json.stdout) as PingView).problems, problems);
  });

  it('wants two', async () => {
    assert.equal((await berth(['ping', 'web'])).code, 2);
  });
});

describe('berth test', () => {
  const well: ReachTargetView = { endpoint: '', v4: echo, v6: echo, name: { found: ['10.1.0.3'], right: true } };

  /** A network of so many containers, in which some pairs are not well. */
  function network(members: readonly PartyView[], wrong: (from: string, to: string) => Partial<ReachTargetView>) {
    return fakeAgent({
      'GET /v1/reach/shop': { network: 'default:shop', members },
      async 'POST /v1/reach'(request: IncomingMessage, response: ServerResponse) {
        const { from, targets } = (await body(request)) as { from: string; targets: string[] };
        if (from === 'broken') {
          sendError(response, 504, 'HOST_SILENT', 'the agent of the host h9 did not answer within 60 s');
          return;
        }
        response.end(JSON.stringify({ targets: targets.map((to) => ({ ...well, endpoint: to, ...wrong(from, to) })) }));
      },
    });
  }

  it('draws who reaches whom', async () => {
    await using agent = await network([db, web], () => ({}));
    const { stdout, code } = await berth(['test', 'shop', '--run-dir', agent.runDir]);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^default:shop: 2 containers, 2 pairs, 2 well, 0 not\n\nFROM \\ TO {2}h1\/web {2}h2\/db\nh1\/web +· +46nm\n/,
    );
  });

  it('says that it was a group', async () => {
    const members = { network: 'default:shop', group: 'default:web', members: [db, web] };
    await using agent = await fakeAgent({
      'GET /v1/reach/web': members,
      'POST /v1/reach': { targets: [{ ...well, endpoint: 'e1' }] },
    });
    const { stdout } = await berth(['test', 'web', '--run-dir', agent.runDir]);
    assert.match(stdout, /^group default:web of default:shop: 2 containers, 2 pairs, 2 well, 0 not\n/);
    const json = await berth(['test', 'web', '--json', '--run-dir', agent.runDir]);
    assert.equal((JSON.parse(json.stdout) as { group?: string }).group, 'default:web');
  });

  it('fails with each pair that does not', async () => {
    await using agent = await network([web, db, party('h9', 'lost', 'broken')], (from, to) =>
      from === 'e1' && to === 'e2'
        ? {
            v4: silent,
            v6: { ...echo, mtu: 1400 },
            name: { found: [], right: false, problem: 'there is no such name' },
          }
        : {},
    );
    const { stdout, code } = await berth(['test', 'shop', '--run-dir', agent.runDir]);
    assert.equal(code, 1);
    assert.match(stdout, /^default:shop: 3 containers, 4 pairs, 3 well, 1 not$/m);
    assert.match(stdout, /^h1\/web +· +x6xx +46nm$/m);
    assert.match(stdout, /^h9\/lost +\? +\? +·$/m);
    assert.match(stdout, /^! h9\/lost: not tried: the agent of the host h9 did not answer within 60 s$/m);
    assert.match(
      stdout,
      /^! h1\/web → h2\/db: 10\.1\.0\.3 does not answer \(EHOSTUNREACH\); packets to .* of more than 1400 bytes are lost; .*; the name is not found: there is no such name$/m,
    );
    const json = await berth(['test', 'shop', '--json', '--run-dir', agent.runDir]);
    assert.equal(json.code, 1);
    const report = JSON.parse(json.stdout) as { pairs: { from: string; problems: string[] }[]; failed: number };
    assert.equal(report.failed, 1);
    assert.equal(report.pairs.length, 4);
  });

  it('is bounded: so many containers, evenly over the hosts, and so long', async () => {
    const many = ['h1', 'h2'].flatMap((host) =>
      Array.from({ length: 40 }, (_, n) => party(host, `c${n}`, `${host}c${n}`)),
    );
    await using agent = await network(many, () => ({}));
    const words = ['test', 'shop', '--json', '--run-dir', agent.runDir];
    const { stdout } = await berth([...words, '--limit', '10']);
    const report = JSON.parse(stdout) as { containers: string[]; left: number };
    assert.equal(report.containers.length, 10);
    assert.equal(report.containers.filter((title) => title.startsWith('h2/')).length, 5);
    assert.equal(report.left, 70);
    const text = await berth(['test', 'shop', '--run-dir', agent.runDir]);
    assert.match(text.stdout, /^default:shop: 64 containers, of 80, 4032 pairs, 4032 well, 0 not\n$/);
    const refused = await berth(['test', 'shop', '--limit', 'x', '--run-dir', agent.runDir]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--limit is a whole number above zero, not 'x'/);
  });

  it('a network with nobody on it is well', async () => {
    await using agent = await network([], () => ({}));
    const { stdout, code } = await berth(['test', 'shop', '--run-dir', agent.runDir]);
    assert.deepEqual([stdout, code], ['default:shop: 0 containers, 0 pairs, 0 well, 0 not\n', 0]);
  });
});
