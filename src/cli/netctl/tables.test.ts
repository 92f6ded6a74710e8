/** Tables against what Contiv's netctl printed, made from the JSON that it printed of the same objects. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fakeMaster, netctl } from './testing/fake-master.ts';
import { goldenCases } from './testing/golden.ts';

type Fields = Record<string, unknown>;

const cases = goldenCases('netctl-cases.txt');
const transcript = goldenCases('transcript.txt');

/** The last recording of a line: what was there when the JSON was recorded too. */
function last(from: typeof cases, line: string): string {
  const found = from.findLast((one) => one.line === line);
  assert.ok(found, line);
  return found.stdout;
}

async function printed(type: string, objects: readonly Fields[], line: string): Promise<string> {
  await using master = await fakeMaster({
    [`GET /api/v1/${type}/`]: objects,
    'GET /api/v1/tenants/default/': { key: 'default', tenantName: 'default' },
    'GET /api/v1/policys/default:p1/': { key: 'default:p1', policyName: 'p1', tenantName: 'default' },
    'GET /api/v1/appProfiles/default:ap1/': objects[0],
  });
  const { stdout, stderr, code } = await netctl(line.split(' ').slice(1), { environment: { NETMASTER: master.url } });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  return stdout;
}

describe('tables of recorded objects', () => {
  const same: readonly (readonly [type: string, from: typeof cases, json: string, line: string])[] = [
    ['networks', transcript, 'netctl network ls --json', 'netctl network ls'],
    ['tenants', cases, 'netctl tenant ls --json', 'netctl tenant ls'],
    ['tenants', cases, 'netctl tenant ls --json', 'netctl tenant ls -q'],
    ['policys', cases, 'netctl policy ls --json', 'netctl policy ls'],
    ['policys', cases, 'netctl policy ls --json', 'netctl policy ls -a -q'],
    ['appProfiles', cases, 'netctl app-profile ls --json', 'netctl app-profile ls'],
    ['appProfiles', cases, 'netctl app-profile ls --json', 'netctl app-profile group-ls ap1'],
    ['serviceLBs', cases, 'netctl service ls --json', 'netctl service ls'],
    ['Bgps', cases, 'netctl bgp ls --json', 'netctl bgp ls'],
    ['extContractsGroups', cases, 'netctl external-contracts ls --json', 'netctl external-contracts ls'],
    ['globals', cases, 'netctl global info --json', 'netctl global info'],
  ];
  for (const [type, from, json, line] of same) {
    it(line, async () => {
      const objects = JSON.parse(last(from, json)) as Fields[];
      // The fabric mode was changed after its JSON was recorded.
      const wanted = line === 'netctl global info' ? from.find((one) => one.line === line)!.stdout : last(from, line);
      assert.equal(await printed(type, objects, line), wanted);
    });
    it(`${json}, sorted`, async () => {
      const objects = JSON.parse(last(from, json)) as Fields[];
      const sorted = objects.toSorted((a, b) => (String(a.key) < String(b.key) ? -1 : 1));
      assert.equal(await printed(type, objects.toReversed(), json), `${JSON.stringify(sorted, null, 2)}\n`);
      assert.equal(await printed(type, [], json), '[]\n');
    });
  }

  it('netctl network ls, of many, sorted by name', async () => {
    const network = (networkName: string, more: Fields): Fields => ({
      key: `default:${networkName}`,
      encap: 'vxlan',
      networkName,
      nwType: 'data',
      tenantName: 'default',
      ...more,
    });
    const objects = [
      network('tiny', { subnet: '10.13.0.0/31' }),
      network('test-net', { subnet: '10.103.1.0/24' }),
      network('gwnet', { subnet: '10.2.0.0/16', gateway: '10.2.0.1' }),
      network('rangenet', { subnet: '10.8.1.10-10.8.1.20/24' }),
      network('v6net', {
        subnet: '10.11.0.0/24',
        gateway: '10.11.0.1',
        ipv6Subnet: '2001:db8:100::/100',
        ipv6Gateway: '2001:db8:100::1',
      }),
      network('tagnet', { subnet: '10.12.0.0/24', cfgdTag: 'mytag' }),
      network('vlnet', { subnet: '10.5.0.0/24', encap: 'vlan' }),
      network('vl77', { subnet: '10.6.0.0/24', encap: 'vlan', pktTag: 77 }),
      { ...network('other', { subnet: '10.9.0.0/24' }), tenantName: 't1' },
    ];
    const wanted = cases.find((one) => one.line === 'netctl network ls')!.stdout.split('\n');
    const [title, dashes, ...rows] = wanted.slice(0, -1);
    const sorted = rows.toSorted((a, b) => (a.split(/ +/)[1]! < b.split(/ +/)[1]! ? -1 : 1));
    assert.equal(await printed('networks', objects, 'netctl network ls'), [title, dashes, ...sorted, ''].join('\n'));
  });

  it('netctl group ls', async () => {
    const group = (groupName: string, more: Fields): Fields => ({
      key: `default:${groupName}`,
      groupName,
      networkName: 'test-net',
      tenantName: 'default',
      ...more,
    });
    const objects = [
      group('g5', { ipPool: '10.103.1.100-10.103.1.110' }),
      group('g7', { cfgdTag: 'gtag' }),
      group('web', {}),
      group('app', { policies: ['p1'] }),
      group('g3', { netProfile: 'np1' }),
    ];
    const [title, dashes, ...rows] = last(cases, 'netctl group ls').split('\n').slice(0, -1);
    const sorted = rows.toSorted((a, b) => (a.split(/ +/)[1]! < b.split(/ +/)[1]! ? -1 : 1));
    assert.equal(
      await printed('endpointGroups', objects, 'netctl group ls'),
      [title, dashes, ...sorted, ''].join('\n'),
    );
  });

  it('netctl netprofile ls, with the burst of those without a bandwidth too', async () => {
    const profile = (profileName: string, more: Fields): Fields => ({
      key: `default:${profileName}`,
      profileName,
      tenantName: 'default',
      ...more,
    });
    const objects = [
      profile('np1', { bandwidth: '10mbps', DSCP: 46, burst: 80 }),
      profile('np4', { bandwidth: '10 mbps' }),
    ];
    assert.equal(await printed('netprofiles', objects, 'netctl netprofile ls'), last(cases, 'netctl netprofile ls'));
    assert.match(
      await printed('netprofiles', [profile('np5', {}), profile('np6', { bandwidth: '2g' })], 'netctl netprofile ls'),
      /\nnp5 {5}default {13}0 {9}0\nnp6 {5}default {2}2Gbps {6}0 {9}0\n$/,
    );
  });

  it('netctl policy rule-ls: by priority, then by number', async () => {
    const rules = JSON.parse(last(cases, 'netctl policy rule-ls p1 --json')) as Fields[];
    const more = { ...rules.find((rule) => rule.ruleId === '9')!, ruleId: '10', key: 'default:p1:10' };
    const elsewhere = { ...more, tenantName: 't1', key: 't1:p1:10' };
    const all = [...rules, more, elsewhere].toReversed();
    assert.equal(await printed('rules', all, 'netctl policy rule-ls p1 -q'), '2\n4\n6\n8\n9\n10\n3\n1\n');
    assert.equal(
      await printed('rules', all, 'netctl policy rule-ls p1'),
      `Incoming Rules:
Rule  Priority  From EndpointGroup  From Network  From IpAddress  To IpAddress  Protocol  Port  Action
----  --------  ------------------  ------------  ---------       ------------  --------  ----  ------
2     1                                                                         tcp       0     deny
6     1                             test-net                                    tcp       22    allow
8     1                                                                                   0     allow
9     1                                                                         89        0     allow
10    1                                                                         89        0     allow
3     5                                                                         icmp      0     deny
1     10                                                                        tcp       80    allow
Outgoing Rules:
Rule  Priority  To EndpointGroup  To Network  To IpAddress  Protocol  Port  Action
----  --------  ----------------  ----------  ---------     --------  ----  ------
4     1                                       10.0.0.0/8    udp       53    allow
`,
    );
  });

  it('names with control characters break no line and reach no terminal', async () => {
    const objects = [{ key: 'a', tenantName: 'a\tb\n\x1b[31m' }];
    assert.equal(await printed('tenants', objects, 'netctl tenant ls'), 'Name       \n------     \na?b??[31m  \n');
  });
});
