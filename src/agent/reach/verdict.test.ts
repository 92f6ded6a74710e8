import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EchoView, HopView, PartyView } from '../api.ts';
import { type Findings, problemsOf } from './verdict.ts';

const from: PartyView = { kind: 'container', name: 'web', host: 'h1', network: 't:n', addresses: ['10.1.0.2'] };
const to: PartyView = { kind: 'container', name: 'db', host: 'h2', network: 't:n', addresses: ['10.1.0.3'] };
const well: EchoView = { address: '10.1.0.3', sent: 5, received: 5, mtu: 1450, interfaceMtu: 1450, obstacles: [] };
const silent: EchoView = { address: '10.1.0.3', sent: 5, received: 0, interfaceMtu: 1450, obstacles: [] };
const wire: EchoView = { address: '10.8.0.2', sent: 3, received: 3, mtu: 1500, interfaceMtu: 1500, obstacles: [] };
const path: readonly HopView[] = [
  { host: 'h1', kind: 'interface', name: 'eth0 in web', mtu: 1450 },
  { host: 'h1', kind: 'vxlan', name: 'bx1', mtu: 1450 },
  { host: 'h1 – h2', kind: 'wire', name: '10.8.0.1 → 10.8.0.2', mtu: 1500 },
  { host: 'h2', kind: 'interface', name: 'eth0 in db', mtu: 1450 },
];
const found = (more: Partial<Findings>): string[] => problemsOf({ from, to, echoes: [well], path, wire, ...more });

describe('what is wrong between two', () => {
  it('nothing', () => assert.deepEqual(found({}), []));

  const cases: readonly (readonly [what: string, findings: Partial<Findings>, said: readonly RegExp[]])[] = [
    [
      'a link that is down',
      { echoes: [silent], path: path.with(3, { ...path[3]!, problem: 'is down' }) },
      [
        /^10\.1\.0\.3 does not answer: the path is broken at the interface eth0 in db on h2$/,
        /^on h2: the interface eth0 in db is down$/,
      ],
    ],
    [
      'the network between the hosts',
      { echoes: [silent], wire: { ...wire, received: 0 } },
      [/nothing comes back from 10\.8\.0\.2 either: h2 is down, or/],
    ],
    [
      'a firewall for the tunnel',
      { echoes: [silent] },
      [/drops the packets of the tunnel, or one in the container drops echoes/],
    ],
    [
      'a filter on one host',
      { echoes: [silent], to: { ...to, host: 'h1' }, wire: undefined },
      [/a filter in the container, or on its host/],
    ],
    [
      'no route',
      { echoes: [{ ...silent, obstacles: [{ code: 'ENETUNREACH' }] }] },
      [/does not answer: h1\/web has no route to it$/],
    ],
    [
      'nobody who knows the neighbour',
      { echoes: [{ ...silent, obstacles: [{ code: 'EHOSTUNREACH', from: '10.1.0.2' }] }] },
      [/nobody on its network says where 10\.1\.0\.3 is/],
    ],
    [
      'a router that refuses',
      { echoes: [{ ...silent, obstacles: [{ code: 'EHOSTUNREACH', from: '10.1.0.1' }] }] },
      [/does not answer: 10\.1\.0\.1 says that it cannot be reached \(EHOSTUNREACH\)$/],
    ],
    ['a filter here', { echoes: [{ ...silent, obstacles: [{ code: 'EACCES' }] }] }, [/a filter on h1 forbids it/]],
    ['losses', { echoes: [{ ...well, received: 3 }] }, [/^10\.1\.0\.3 answers 3 of 5 packets/]],
    ['nobody to ask', { echoes: [] }, [/^h2\/db has no address that could be asked$/]],
    [
      'a link that takes less',
      { echoes: [{ ...well, mtu: 1300 }], path: path.with(3, { ...path[3]!, mtu: 1300 }) },
      [
        /of more than 1300 bytes are lost, while the interface sends up to 1450: the interface eth0 in db on h2 takes 1300$/,
      ],
    ],
    [
      'an underlay that takes less than the hosts believe',
      { echoes: [{ ...well, mtu: 1350 }], wire: { ...wire, mtu: 1400 } },
      [/up to 1450: between the hosts packets of 1400 bytes pass, which leaves 1350 in the tunnel$/],
    ],
    ['nothing that shows', { echoes: [{ ...well, mtu: 1399 }] }, [/some link between them takes no more$/]],
  ];
  for (const [what, findings, said] of cases) {
    it(what, () => {
      const sentences = found(findings);
      assert.equal(sentences.length, said.length, sentences.join('\n'));
      for (const [index, expected] of said.entries()) assert.match(sentences[index]!, expected);
    });
  }
});
