/** netctl's commands as those of `berth`: same requests, our tables, errors and exit codes. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { berth } from './fake-agent.ts';
import { fakeMaster } from './netctl/testing/fake-master.ts';

const web = { key: 'default:web', groupName: 'web', networkName: 'shop', policies: ['a', 'b'], tenantName: 'default' };

describe('the cluster’s commands of berth', () => {
  it('lists in our look, as names, and as JSON', async () => {
    await using master = await fakeMaster({
      'GET /api/v1/tenants/default/': {},
      'GET /api/v1/endpointGroups/': [web],
    });
    const words = ['group', 'ls', '--master', master.url];
    const { stdout, code } = await berth(words);
    assert.equal(
      stdout,
      'TENANT   GROUP  NETWORK  IP POOL  CFGDTAG  POLICIES  NETWORK PROFILE\ndefault  web    shop     -        -        a,b       -\n',
    );
    assert.equal(code, 0);
    assert.equal((await berth([...words, '-q'])).stdout, 'web\n');
    assert.equal((await berth([...words, '--json'])).stdout, `${JSON.stringify([web], null, 2)}\n`);
  });

  it('creates, changes and removes', async () => {
    await using master = await fakeMaster((_, response) => response.end('{"key":"k"}'));
    const cases: readonly (readonly [words: string[], stdout: string, asked: string])[] = [
      [
        ['network', 'create', 'n', '--subnet', '10.1.0.0/24', '-t', 'blue', '--pkt-tag', '7'],
        'Creating network blue:n\n',
        'POST /api/v1/networks/blue:n/ {"tenantName":"blue","networkName":"n","encap":"vxlan","subnet":"10.1.0.0/24","pktTag":7,"nwType":"data"}',
      ],
      [['network', 'rm', 'n'], 'Deleting network default:n\n', 'DELETE /api/v1/networks/default:n/'],
      [
        ['policy', 'rule-add', 'p', '1', '--protocol', 'tcp', '--port', '80', '--from-group', 'g', '-j', 'deny'],
        '',
        'POST /api/v1/rules/default:p:1/ {"tenantName":"default","policyName":"p","ruleId":"1","priority":1,"direction":"in","fromEndpointGroup":"g","protocol":"tcp","port":80,"action":"deny"}',
      ],
      [
        ['global', 'set', '--fwd-mode', 'bridge'],
        '',
        'POST /api/v1/globals/global/ {"name":"global","fwdMode":"bridge"}',
      ],
    ];
    for (const [words, stdout, asked] of cases) {
      const outcome = await berth([...words, '--master', master.url]);
      assert.deepEqual(outcome, { code: 0, stdout, stderr: '' });
      assert.equal(master.asked.at(-1), asked);
      const json = await berth([...words, '--json', '--master', master.url]);
      assert.equal(json.stdout, '{\n  "key": "k"\n}\n');
    }
  });

  it('with --cluster, what is on this host is not meant', async () => {
    const network = {
      key: 'blue:n',
      networkName: 'n',
      tenantName: 'blue',
      encap: 'vxlan',
      nwType: 'data',
      subnet: '10.1.0.0/24',
    };
    await using master = await fakeMaster({
      'GET /api/v1/tenants/blue/': {},
      'GET /api/v1/networks/': [network],
      'GET /api/v1/inspect/networks/blue:n/': { Config: network },
      'GET /api/v1/inspect/endpoints/abc/': { Oper: {} },
    });
    const to = ['--master', master.url];
    assert.match(
      (await berth(['network', 'ls', '--cluster', '-t', 'blue', ...to])).stdout,
      /^TENANT .*\nblue +n +data/,
    );
    assert.equal((await berth(['network', 'ls', '--all', '-q', ...to])).stdout, 'n\n');
    assert.match((await berth(['network', 'inspect', '--tenant', 'blue', 'n', ...to])).stdout, /"networkName": "n"/);
    assert.match((await berth(['endpoint', 'inspect', '--cluster', 'abc', ...to])).stdout, /"Oper"/);
    const here = await berth(['network', 'ls', '--run-dir', '/nonexistent', ...to]);
    assert.equal(here.code, 3);
    assert.match(here.stderr, /no answer from the agent/);
  });

  const failing: readonly (readonly [words: string[], code: number, stderr: RegExp])[] = [
    [
      ['tenant', 'ls', '--master', 'http://127.0.0.1:1'],
      3,
      /connection refused\n {2}nothing listens on 127\.0\.0\.1:1\n {2}next: .*--master or BERTH_MASTER/,
    ],
    [
      ['network', 'rm', 'lan', '--master', 'http://127.0.0.1:1'],
      3,
      /\n {2}next: .+\n {8}Networks of this host alone are made and removed with: docker network create -d berth-lan/,
    ],
    [['tenant', 'ls', '--master', 'here'], 2, /invalid URL.*\n {2}next: Write --master as/],
    [['tenant', 'create'], 2, /missing required argument 'tenant'/],
    [['network', 'create', 'n'], 2, /Subnet is required\n {2}next: /],
    [['network', 'create', 'n', '--subnet', 'x', '--pkt-tag', 'x'], 2, /invalid value "x" for flag -pkt-tag/],
    [['group', 'ls', '--token', 'x', '--master', 'http://192.0.2.1:1'], 2, /others|listens on the way/],
  ];
  for (const [words, code, stderr] of failing) {
    it(words.join(' '), async () => {
      const outcome = await berth(words);
      assert.match(outcome.stderr, stderr);
      assert.match(outcome.stderr, /^berth: .+\n( {2}.+\n)* {2}next: .+\n( {8}.+\n)?$/);
      assert.equal(outcome.code, code);
    });
  }

  it('what a master refuses', async () => {
    await using master = await fakeMaster((request, response) => {
      response
        .writeHead(request.url!.includes('nosuch') ? 404 : 409)
        .end(request.url!.includes('nosuch') ? 'group not found' : 'in use');
    });
    const missing = await berth(['group', 'rm', 'nosuch', '--master', master.url]);
    assert.equal(missing.stderr, 'berth: group not found\n  next: See what there is with: berth group ls -a\n');
    assert.equal(missing.code, 4);
    const used = await berth(['network', 'rm', 'n', '--master', master.url]);
    assert.match(used.stderr, /^berth: in use\n/);
    assert.equal(used.code, 1);
  });
});
