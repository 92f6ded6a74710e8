/** What netctl asks of a master, and what it makes of answers that are none. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fakeMaster, netctl } from './testing/fake-master.ts';

const errorShape = /^time="2026-11-20T20:35:02Z" level=error msg=".+"\n( {2}cause: .+\n)?( {2}next: .+\n)?$/;

describe('requests', () => {
  const posts: readonly (readonly [line: string, path: string, body: Record<string, unknown>, said: string])[] = [
    ['tenant create t', 'tenants/t', { tenantName: 't' }, 'Creating tenant: t\n'],
    [
      'network create -s 10.1.0.0/24 -g 10.1.0.1 -p 5 --tag x n',
      'networks/default:n',
      {
        tenantName: 'default',
        networkName: 'n',
        encap: 'vxlan',
        subnet: '10.1.0.0/24',
        gateway: '10.1.0.1',
        pktTag: 5,
        nwType: 'data',
        cfgdTag: 'x',
      },
      'Creating network default:n\n',
    ],
    [
      'group create -t t n g -p a -p b -n np -r 10.1.0.5-10.1.0.9',
      'endpointGroups/t:g',
      {
        tenantName: 't',
        networkName: 'n',
        groupName: 'g',
        netProfile: 'np',
        ipPool: '10.1.0.5-10.1.0.9',
        policies: ['a', 'b'],
      },
      'Creating EndpointGroup t:g\n',
    ],
    ['policy create p', 'policys/default:p', { policyName: 'p', tenantName: 'default' }, 'Creating policy default:p\n'],
    [
      'policy rule-add p 1 -l tcp -P 80 -g web',
      'rules/default:p:1',
      {
        tenantName: 'default',
        policyName: 'p',
        ruleId: '1',
        priority: 1,
        direction: 'in',
        fromEndpointGroup: 'web',
        protocol: 'tcp',
        port: 80,
        action: 'allow',
      },
      '',
    ],
    [
      'netprofile create -b 10mbps -d 46 -s 80 np',
      'netprofiles/default:np',
      { DSCP: 46, bandwidth: '10mbps', burst: 80, profileName: 'np', tenantName: 'default' },
      'Creating netprofile default:np\n',
    ],
    [
      'service create -s n -l a=b -l c=d -p 80:8080:TCP s',
      'serviceLBs/default:s',
      {
        serviceName: 's',
        tenantName: 'default',
        networkName: 'n',
        selectors: ['a=b', 'c=d'],
        ports: ['80:8080:TCP'],
      },
      'Creating ServiceLB default:s\n',
    ],
    [
      'app-profile create -g a,b ap',
      'appProfiles/default:ap',
      { tenantName: 'default', appProfileName: 'ap', endpointGroups: ['a', 'b'] },
      'Creating AppProfile default:ap\n',
    ],
    ['app-profile update ap', 'appProfiles/default:ap', { tenantName: 'default', appProfileName: 'ap' }, ''],
    [
      'external-contracts create -p -a x -a y ec',
      'extContractsGroups/default:ec',
      { tenantName: 'default', contractsGroupName: 'ec', contractsType: 'provided', contracts: ['x', 'y'] },
      'Creating ExternalContracts default:ec\n',
    ],
    [
      'bgp create h --router-ip 50.1.1.2/24 --as 65002 --neighbor-as 500 --neighbor 50.1.1.1',
      'Bgps/h',
      { as: '65002', hostname: 'h', neighbor: '50.1.1.1', 'neighbor-as': '500', routerip: '50.1.1.2/24' },
      '',
    ],
    ['global set -b routing', 'globals/global', { name: 'global', fwdMode: 'routing' }, ''],
  ];
  for (const [line, path, body, said] of posts) {
    it(line, async () => {
      const made = { key: 'what was made' };
      await using master = await fakeMaster({ [`POST /api/v1/${path}/`]: made });
      const environment = { NETMASTER: master.url };
      assert.deepEqual(await netctl(line.split(' '), { environment }), { code: 0, stdout: said, stderr: '' });
      const [asked] = master.asked;
      assert.deepEqual(JSON.parse(asked!.slice(asked!.indexOf('{'))), body);
      const json = await netctl([...line.split(' '), '--json'], { environment });
      assert.deepEqual(json, { code: 0, stdout: '{\n  "key": "what was made"\n}\n', stderr: '' });
    });
  }

  it('aci-gw set changes what is given, and keeps the rest', async () => {
    const before = { key: 'aciGw', name: 'aciGw', physicalDomain: 'd', enforcePolicies: 'no' };
    await using master = await fakeMaster({
      'GET /api/v1/aciGws/': [before],
      'POST /api/v1/aciGws/aciGw/': {},
    });
    const { code } = await netctl(['aci-gw', 'set', '-i', 'yes'], { environment: { NETMASTER: master.url } });
    assert.equal(code, 0);
    const body = { name: 'aciGw', physicalDomain: 'd', enforcePolicies: 'no', includeCommonTenant: 'yes' };
    assert.equal(master.asked[1], `POST /api/v1/aciGws/aciGw/ ${JSON.stringify(body)}`);
  });

  it('what is not in force yet is said, beside the output', async () => {
    await using master = await fakeMaster((_, response) => {
      response.writeHead(200, { 'berth-notice': 'nothing is filtered yet' }).end('{}');
    });
    const { code, stdout, stderr } = await netctl(['policy', 'create', 'p'], {
      environment: { NETMASTER: master.url },
    });
    assert.deepEqual(
      { code, stdout, stderr },
      {
        code: 0,
        stdout: 'Creating policy default:p\n',
        stderr: 'note: nothing is filtered yet\n',
      },
    );
  });

  const deletions: readonly (readonly [line: string, path: string, said: string])[] = [
    ['tenant rm t', 'tenants/t', 'Deleting tenant t\n'],
    ['network delete -t t n', 'networks/t:n', 'Deleting network t:n\n'],
    ['group rm g', 'endpointGroups/default:g', ''],
    ['policy rm p', 'policys/default:p', 'Deleting policy default:p\n'],
    ['policy rule-rm p 1', 'rules/default:p:1', ''],
    ['netprofile rm np', 'netprofiles/default:np', ''],
    ['service rm s', 'serviceLBs/default:s', 'Deleting Service  s,default\n'],
    ['app-profile rm ap', 'appProfiles/default:ap', ''],
    [
      'external-contracts rm ec',
      'extContractsGroups/default:ec',
      'Deleting external contracts group ec in tenant default\n',
    ],
    ['bgp rm h', 'Bgps/h', 'Deleting Bgp router config: h\n'],
    ['network rm a/b', 'networks/default:a%2Fb', 'Deleting network default:a/b\n'],
  ];
  for (const [line, path, said] of deletions) {
    it(line, async () => {
      await using master = await fakeMaster({ [`DELETE /api/v1/${path}/`]: 'key' });
      const environment = { NETMASTER: master.url };
      assert.deepEqual(await netctl(line.split(' '), { environment }), { code: 0, stdout: said, stderr: '' });
      assert.deepEqual(await netctl([...line.split(' '), '--json'], { environment }), {
        code: 0,
        stdout: '"key"\n',
        stderr: '',
      });
    });
  }
});

describe('answers that are none', () => {
  const text =
    (status: number, body: string, type = 'text/plain') =>
    (response: ServerResponse) => {
      response.writeHead(status, { 'content-type': type }).end(body);
    };
  const cases: readonly (readonly [
    what: string,
    send: (response: ServerResponse) => void,
    message: RegExp,
    next: RegExp,
  ])[] = [
    ['401', text(401, 'no token\n'), /msg="no token"/, /--token or NETCTL_TOKEN/],
    ['401 without words', text(401, ''), /msg="401 Unauthorized"/, /netctl --token TOKEN login/],
    ['403', text(403, 'Access denied!'), /msg="Access denied!"/, /more rights/],
    ['404 in the words of a master', text(404, 'tenant not found\n'), /msg="tenant not found"/, /netctl tenant ls/],
    ['404 of something else', text(404, '404 page not found\n'), /msg="Page not found!"/, /must name a master/],
    ['404 as a page', text(404, '<html>Not found</html>', 'text/html'), /msg="Page not found!"/, /must name a master/],
    ['409', text(409, 'Policy is being used\n'), /msg="Policy is being used"/, /inspect/],
    ['412', text(412, 'changed meanwhile'), /msg="changed meanwhile"/, /inspect/],
    ['500 with a stack trace', text(500, 'broken\ngithub.com/x [y.go 1]\n'), /msg="broken"\n/, /log of the master/],
    ['500 with nothing', text(500, ''), /msg="500 Internal Server Error"/, /log of the master/],
    [
      '500 with a page',
      text(500, '<h1>Oops</h1>', 'text/html'),
      /msg="500 Internal Server Error"/,
      /log of the master/,
    ],
    [
      '500 with bytes',
      (response) => response.writeHead(500).end(Buffer.from([0xff, 0xfe, 0x00, 0x80])),
      /msg="500 Internal Server Error"/,
      /log of the master/,
    ],
    ['500 with escapes', text(500, 'a\x1b[2Jb'), /msg="a\?\[2Jb"/, /log of the master/],
    ['500 with a megabyte', text(500, 'x'.repeat(1 << 20)), /msg="x{500}…"/, /log of the master/],
    [
      '409 as a problem',
      text(409, '{"status":409,"title":"OBJECT_IN_USE","detail":"in use","next":"Free it."}'),
      /msg="in use"\n/,
      /next: Free it\./,
    ],
    ['500 with JSON', text(500, '{"error":{"message":"no disk"}}'), /msg="no disk"/, /log of the master/],
    ['503', text(503, 'the store does not answer'), /msg="the store does not answer"/, /berth status/],
    ['302', text(302, ''), /msg="302 Found"/, /level/],
    ['599', text(599, ''), /msg="status 599"/, /log of the master/],
    ['200 with a page', text(200, '<html>'), /not that of a master: it is not JSON/, /must name a master/],
    ['200 with nothing', text(200, ''), /not that of a master: it is empty/, /must name a master/],
    ['200 with another type', text(200, '7'), /an object was asked for/, /must name a master/],
    ['and dies before', (response) => response.destroy(), /Get "http:.*": EOF"/, /See whether it was done/],
    [
      'and dies within',
      (response) => {
        response.writeHead(200, { 'content-length': 100 }).write('{"key"');
        setImmediate(() => response.destroy());
      },
      /Get "http:.*": EOF"/,
      /See whether it was done/,
    ],
  ];
  for (const [what, send, message, next] of cases) {
    it(what, async () => {
      await using master = await fakeMaster((_, response) => send(response));
      const { code, stdout, stderr } = await netctl(['network', 'ls'], { environment: { NETMASTER: master.url } });
      assert.equal(stdout, '');
      assert.match(stderr, errorShape);
      assert.match(stderr, message);
      assert.match(stderr, next);
      assert.equal(code, 3);
    });
  }

  it('a list that is none, and a list with things in it that are none', async () => {
    const tenant = { 'GET /api/v1/tenants/default/': {} };
    await using wrong = await fakeMaster({ ...tenant, 'GET /api/v1/networks/': { a: 1 } });
    const refused = await netctl(['network', 'ls'], { environment: { NETMASTER: wrong.url } });
    assert.match(refused.stderr, /a list was asked for/);
    await using odd = await fakeMaster({
      'GET /api/v1/tenants/': [null, 3, { tenantName: ['x'] }, { tenantName: 'a' }],
    });
    const shown = await netctl(['tenant', 'ls', '-q'], { environment: { NETMASTER: odd.url } });
    assert.equal(shown.stdout, '["x"]\na\n');
  });

  it('never', async () => {
    await using master = await fakeMaster(() => undefined);
    const { code, stderr } = await netctl(['network', 'ls', '--timeout', '0.05'], {
      environment: { NETMASTER: master.url },
    });
    assert.match(stderr, /i\/o timeout\)"\n {2}cause: there was no whole answer within 0\.05 s\n {2}next: See what/);
    assert.equal(code, 3);
  });

  it('without an end', async () => {
    await using master = await fakeMaster((_, response) => response.writeHead(200).write('{'));
    const { stderr } = await netctl(['network', 'ls'], {
      environment: { NETMASTER: master.url, NETCTL_TIMEOUT: '0.05' },
    });
    assert.match(stderr, /i\/o timeout/);
  });

  it('in another language', async (t) => {
    const server = createServer((socket) => socket.end('220 smtp ready\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await netctl(['tenant', 'ls'], { environment: { NETMASTER: `http://127.0.0.1:${port}` } });
    assert.match(stderr, /is not that of a master: it is not HTTP/);
    assert.equal(code, 3);
  });
});

describe('reaching a master', () => {
  it('refused', async () => {
    const { code, stderr } = await netctl(['network', 'ls'], { environment: { NETMASTER: 'http://127.0.0.1:1/' } });
    assert.equal(
      stderr.split('\n')[0],
      'time="2026-11-20T20:35:02Z" level=error msg="Get "http://127.0.0.1:1/api/v1/tenants/default/": dial tcp 127.0.0.1:1: connect: connection refused"',
    );
    assert.equal(code, 3);
  });

  it('another is asked when one is away, and each when all are', async () => {
    await using master = await fakeMaster({
      'GET /api/v1/tenants/': [],
      'GET /api/v1/tenants/default/': {},
      'GET /api/v1/networks/': [],
    });
    const environment = { NETMASTER: `http://127.0.0.1:1, ${master.url}` };
    const { code, stdout } = await netctl(['network', 'ls', '-q'], { environment });
    assert.equal(code, 0);
    assert.equal(stdout, '');
    assert.deepEqual(master.asked, ['GET /version', 'GET /api/v1/tenants/default/', 'GET /api/v1/networks/']);
    const none = await netctl(['network', 'ls'], {
      environment: { NETMASTER: 'http://127.0.0.1:1,http://127.0.0.1:2' },
    });
    assert.match(none.stderr, /127\.0\.0\.1:2: connect: connection refused/);
    assert.equal(none.code, 3);
  });

  it('what may have been done is not asked of another', async () => {
    await using dying = await fakeMaster((request, response) => {
      if (request.method === 'GET') response.end('{}');
      else response.destroy();
    });
    await using master = await fakeMaster({});
    const environment = { NETMASTER: `${dying.url},${master.url}` };
    const { code, stderr } = await netctl(['tenant', 'create', 't'], { environment });
    assert.match(stderr, /Post "http:.*": EOF"/);
    assert.equal(code, 3);
    assert.deepEqual(dying.asked, ['GET /version', 'POST /api/v1/tenants/t/ {"tenantName":"t"}']);
    assert.deepEqual(master.asked, []);
  });

  it('one that hangs, or is cut off from the store, is passed over', async () => {
    await using hanging = await fakeMaster(() => undefined);
    await using cutOff = await fakeMaster((_, response) => response.writeHead(503).end('the store does not answer'));
    await using master = await fakeMaster({
      'GET /version': {},
      'GET /api/v1/tenants/': [{ key: 'default', tenantName: 'default' }],
      'POST /api/v1/tenants/t/': {},
    });
    const environment = { NETMASTER: `${hanging.url},${cutOff.url},${master.url}`, NETCTL_TIMEOUT: '1.5' };
    const listed = await netctl(['tenant', 'ls', '-q'], { environment });
    assert.deepEqual(listed, { code: 0, stdout: 'default\n', stderr: '' });
    const made = await netctl(['tenant', 'create', 't'], { environment });
    assert.deepEqual(made, { code: 0, stdout: 'Creating tenant: t\n', stderr: '' });
    assert.deepEqual(hanging.asked, ['GET /version', 'GET /version']);
    const none = await netctl(['tenant', 'ls'], { environment: { NETMASTER: `${cutOff.url},${cutOff.url}` } });
    assert.match(none.stderr, /msg="the store does not answer"/);
  });

  const wrong: readonly (readonly [environment: Record<string, string>, message: RegExp, next: RegExp])[] = [
    [{ NETMASTER: 'netmaster:9999' }, /invalid URL: must begin with http/, /Write NETMASTER as http:\/\/HOST:9999/],
    [{ NETMASTER: 'ftp://x' }, /invalid URL/, /NETMASTER/],
    [{ NETMASTER: ',' }, /invalid URL/, /NETMASTER/],
    [{ NETCTL_TIMEOUT: 'soon' }, /invalid value "soon" for flag -timeout/, /number of seconds/],
    [{ NETCTL_TIMEOUT: '0' }, /invalid value "0" for flag -timeout/, /number of seconds/],
    [{ NETCTL_CERT: '/dev/null' }, /--cert needs --key too/, /level/],
    [{ NETCTL_CACERT: '/nonexistent' }, /cannot read \/nonexistent: ENOENT/, /NETCTL_CACERT must name a file/],
    [{ NETCTL_TOKEN: 'a b' }, /characters in it that no token has/, /level/],
    [{ NETMASTER: 'http://192.0.2.1:9999', NETCTL_TOKEN: 'x' }, /requires a https/, /--insecure/],
  ];
  for (const [environment, message, next] of wrong) {
    it(JSON.stringify(environment), async () => {
      const { code, stdout, stderr } = await netctl(['tenant', 'ls'], { environment });
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.match(stderr, next);
      assert.equal(code, environment.NETCTL_CACERT === undefined ? 1 : 4);
    });
  }
});

describe('tokens', () => {
  it('are shown in both ways, the given one before the kept one, and not in the open', async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'netctl-home-'));
    t.after(() => rmSync(home, { recursive: true }));
    await using master = await fakeMaster({ 'GET /api/v1/tenants/': [], 'GET /api/v1/globals/': [] });
    const shown = async (words: readonly string[]) => {
      const { code, stderr } = await netctl(words, { environment: { HOME: home, NETMASTER: master.url } });
      assert.equal(code, 0, stderr);
      const { authorization, 'x-auth-token': old } = master.headers.at(-1)!;
      return [authorization, old];
    };
    assert.deepEqual(await shown(['tenant', 'ls']), [undefined, undefined]);
    await import('./credentials.ts').then(({ keepToken }) => keepToken(join(home, '.netctl/config.json'), 'kept'));
    assert.deepEqual(await shown(['tenant', 'ls']), ['Bearer kept', 'kept']);
    assert.deepEqual(await shown(['--token', 'given', 'tenant', 'ls']), ['Bearer given', 'given']);
  });

  it('login asks, and keeps the token for this user only', async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'netctl-home-'));
    t.after(() => rmSync(home, { recursive: true }));
    const refused = await netctl(['login'], { environment: { HOME: home, NETMASTER: 'http://127.0.0.1:1' } });
    assert.match(refused.stderr, /login requires a https auth_proxy URL/);
    assert.equal(refused.code, 3);
    const { keepToken, readToken } = await import('./credentials.ts');
    const file = join(home, '.netctl/config.json');
    await keepToken(file, 'secret');
    assert.equal(readFileSync(file, 'utf8'), '{"token":"secret"}\n');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(await readToken(file), 'secret');
    for (const bad of ['', 'no json', '[', '{"token":7}', '{"token":"a\\nb"}']) {
      writeFileSync(file, bad);
      await assert.rejects(readToken(file), /error processing netctl config/, bad);
    }
    writeFileSync(file, '{}');
    assert.equal(await readToken(file), undefined);
  });
});

it('progress: a line on a terminal after a second, gone at the end', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const answered = Promise.withResolvers<ServerResponse>();
  await using master = await fakeMaster((_, response) => answered.resolve(response));
  const running = netctl(['tenant', 'ls', '-q'], { environment: { NETMASTER: master.url }, tty: true });
  const response = await answered.promise;
  t.mock.timers.tick(2000);
  response.end('[]');
  const { stderr, code } = await running;
  const line = `\r\x1b[Kwaiting for ${master.url} … `;
  assert.equal(stderr, `${line}1 s${line}2 s\r\x1b[K`);
  assert.equal(code, 0);
});
