/**
 * What users and strangers get wrong, through Docker, the command line and the plugin socket: each mistake is told in one line
 * that says what to do, and afterwards everything is exactly as before.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { assertOneLine } from '../../src/docker/testing/bench.ts';
import { call } from '../../src/docker/testing/client.ts';
import { hostileRequests } from '../../src/docker/testing/hostile-requests.ts';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { ask, assertPlainError, failingStart } from './suites/agent.ts';
import { addressOf, docker, reaches, start } from './suites/containers.ts';
import { clear, nothingLeft } from './suites/leftovers.ts';

let bed: Bed;
let host: Host;
let image: string;
/** What must not change. */
let intact: string;

before(async () => {
  bed = await openBed('badinput');
  host = await bed.host('h1');
  image = await host.image();
  await host.startBerth(['--linger', '0', '--gc-grace', '1', '--audit-interval', '1']);
  // A LAN: a bridge with a port; and an interface that is nothing yet.
  await host.ip(
    'link add br0 type bridge',
    'link add eth1 type veth peer name eth1-end',
    'link set eth1 master br0',
    'link add eth2 type veth peer name eth2-end',
    ...['br0', 'eth1', 'eth1-end'].map((link) => `link set ${link} addrgenmode none up`),
  );
  await waitFor('the bridge to be up', async () =>
    (await host.net(['ip', 'link'])).stdout.includes('br0: <BROADCAST,MULTICAST,UP,LOWER_UP>'),
  );
  await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.77.1.0/24 net');
  await docker(
    host,
    'network create -d berth --ipam-driver berth --ipv6 --subnet 10.77.8.0/24 --subnet fd77::/64 dual',
  );
  await docker(host, 'network create -d berth-lan --ipam-driver berth --subnet 10.77.9.0/24 lan');
  await start(host, 'holder', '--network net --ip 10.77.1.9 --mac-address 02:42:00:00:00:09');
  await start(host, 'other', '--network net');
  await waitFor('the containers to be known', async () => {
    const endpoints = await ask(host, '/v1/endpoints');
    return endpoints.every(
      ({ container, sandboxInterface }) => container !== undefined && sandboxInterface !== undefined,
    );
  });
  // Addresses of the host are still being looked for on its LAN for a second or two.
  await waitFor(
    'the addresses to be settled',
    async () => !(await host.net(['ip', 'address'])).stdout.includes('tentative'),
  );
  intact = await everything();
});
after(async () => {
  try {
    await clear(host);
    await nothingLeft(host);
  } finally {
    await bed[Symbol.asyncDispose]();
  }
});

/** All records, and all that the kernel and the engine have of networks. */
async function everything(): Promise<string> {
  const records = await Promise.all(
    ['networks', 'endpoints', 'pools', 'leases'].map(async (kind) => {
      const { body } = await host.berthApi(`/v1/${kind}`);
      return JSON.stringify(JSON.parse(body), undefined, 1);
    }),
  );
  const kernel = await host.net(['sh', '-c', 'ip -d link; ip address; ip route; ip -6 route; nft -s list ruleset']);
  const clocks = /valid_lft \S+|preferred_lft \S+|expires \S+|_timer +\S+/g;
  const networks = await docker(host, 'network ls');
  return [...records, kernel.stdout.replaceAll(clocks, ''), networks].join('\n');
}

async function assertIntact(): Promise<void> {
  // The end of a removal is not waited for.
  let now = '';
  await waitFor(
    'everything to be as before',
    async () => {
      now = await everything();
      return now === intact;
    },
    30_000,
    50,
  ).catch(() => {
    const [before, after] = [intact.split('\n'), now.split('\n')];
    const gone = before.filter((line) => !after.includes(line)).map((line) => `- ${line}`);
    const added = after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`);
    assert.fail(`It is not as before:\n${[...gone, ...added].join('\n') || 'lines were moved'}`);
  });
}

/** What the docker command adds of its own accord. */
const DOCKERS_OWN = /^$|^WARNING: |'docker .*--help'|error waiting for container|^[0-9a-f]{64}$/;

async function refused(line: string, says: RegExp): Promise<void> {
  const command = line.trim().split(/\s+/);
  const { code, stdout, stderr } = await host.exec(['docker', ...command], { check: false });
  const lines = `${stdout}${stderr}`.split('\n').filter((text) => !DOCKERS_OWN.test(text));
  if (command[0] === 'run') await docker(host, 'rm -f bad');
  assert.notEqual(code, 0, `it was accepted: ${stdout}`);
  assert.equal(lines.length, 1, lines.join('\n'));
  assert.match(lines[0]!, says);
  assert.ok(lines[0]!.length < 400, lines[0]);
}

const berth = '-d berth --ipam-driver berth';
const lan = '-d berth-lan --ipam-driver berth';

describe('docker network create', () => {
  const table: readonly (readonly [flags: string, says: RegExp])[] = [
    // Options.
    [`${berth} -o mut=1400`, /the option 'mut' is not known; did you mean 'mtu'\?/],
    [`${berth} -o mtu=abc`, /the option 'mtu' is a whole number from 1280 to 65535, not 'abc'/],
    [`${berth} -o mtu=0`, /from 1280 to 65535, not '0'/],
    [`${berth} -o mtu=-1`, /from 1280 to 65535, not '-1'/],
    [`${berth} -o mtu=1400 -o com.docker.network.driver.mtu=1300`, /the option 'mtu' is given twice/],
    [`${berth} -o masquerade=maybe`, /the option 'masquerade' is true or false, not 'maybe'/],
    [
      `${berth} -o interface_prefix=../../x`,
      /the option 'interface_prefix' is the name of an interface .* not '..\/..\/x'/,
    ],
    [`${berth} -o parent=eth0`, /the option 'parent' is not known/],
    [`${lan} -o bridge=../x`, /the option 'bridge' is the name of an interface .* not '..\/x'/],
    [`${lan} -o bridge=a-name-that-is-too-long`, /the option 'bridge' is the name of an interface \(1 to 15 letters/],
    [`${lan} -o bridge=absent0`, /there is no bridge absent0 on this host; name one with -o bridge=/],
    [`${lan} -o bridge=eth2`, /eth2 is not a bridge but a veth; have one made from it with -o parent=eth2/],
    [`${lan} -o parent=lo`, /the loopback interface lo cannot be a bridge port/],
    [`${lan} -o parent=absent0`, /there is no interface absent0 on this host/],
    [`${lan} -o parent=br0`, /br0 is a bridge itself: use it with -o bridge=br0/],
    [`${lan} -o parent=eth1`, /eth1 is already a port of br0: use that with -o bridge=br0/],
    [`${lan} -o parent=eth2 -o bridge=br0`, /there is an interface br0 already: choose another name with -o bridge=/],
    [`${lan} -o parent=eth2 -o confirm=perhaps`, /the option 'confirm' is one of auto, manual, none, not 'perhaps'/],
    [`${lan} -o confirm=auto`, /the options 'confirm' and 'confirm_timeout' go with 'parent'/],
    [`${lan} -o parent=eth2 -o confirm_timeout=1`, /'confirm_timeout' is a whole number from 5 to 3600, not '1'/],
    // Subnets.
    [`${berth} --subnet 10.77.2.5/24`, /10\.77\.2\.5\/24.* has host bits set; the subnet is 10\.77\.2\.0\/24/],
    [
      `${berth} --subnet 10.77.1.0/24`,
      /the subnet 10\.77\.1\.0\/24 overlaps 10\.77\.1\.0\/24 of the network [0-9a-f]{12} \(berth\)/,
    ],
    [`-d berth --subnet 10.77.1.0/24`, /overlaps/],
    [`${berth} --subnet 10.77.0.0/16`, /the subnet 10\.77\.0\.0\/16 overlaps 10\.77\.\d\.0\/24, which is in use/],
    [`${berth} --subnet 10.77.1.128/25`, /the subnet 10\.77\.1\.128\/25 overlaps 10\.77\.1\.0\/24/],
    [`${lan} --subnet 10.77.9.128/25`, /the subnet 10\.77\.9\.128\/25 overlaps 10\.77\.9\.0\/24/],
    [`${berth} --subnet 10.8.65.0/24`, /overlaps 10\.8\.65\.0\/24, which this host reaches by its interface eth0/],
    [`${berth} --subnet 10.8.65.128/25`, /overlaps 10\.8\.65\.0\/24, which this host reaches by its interface eth0/],
    [`${berth} --subnet 224.0.0.0/24`, /the subnet 224\.0\.0\.0\/24 contains multicast addresses/],
    [`${berth} --subnet 127.0.0.0/24`, /the subnet 127\.0\.0\.0\/24 contains loopback addresses/],
    [`${berth} --subnet 10.77.2.0/32`, /10\.77\.2\.0\/32 is too small: IPv4 subnets are at most \/31/],
    [`${berth} --subnet 16.0.0.0/4`, /16\.0\.0\.0\/4 is too large: IPv4 subnets are at least \/8/],
    [`${berth} --subnet 0.0.0.0/0`, /0\.0\.0\.0\/0/],
    [`${berth} --subnet 10.77.2.0`, /Invalid subnet 10\.77\.2\.0 :/],
    [`${berth} --subnet nonsense`, /nonsense/],
    [`${berth} --ipv6 --subnet ff02::/64`, /the subnet ff02::\/64 contains multicast addresses/],
    [`${berth} --ipv6 --subnet fe80::/64`, /the subnet fe80::\/64 contains link-local addresses/],
    [`${berth} --ipv6 --subnet ::ffff:10.77.2.0/120`, /10\.77\.2\.0/],
    // What lies in them.
    [`${berth} --subnet 10.77.2.0/24 --gateway 10.77.3.1`, /10\.77\.3\.1/],
    [`${berth} --subnet 10.77.2.0/24 --gateway 10.77.2.0`, /10\.77\.2\.0/],
    [
      `${berth} --subnet 10.77.2.0/24 --gateway 10.77.2.255`,
      /the address 10\.77\.2\.255 of 10\.77\.2\.0\/24 is not for hosts/,
    ],
    [`${berth} --subnet 10.77.2.0/24 --ip-range 10.78.0.0/25`, /10\.78\.0\.0\/25/],
    [`${berth} --subnet 10.77.2.0/24 --ip-range 10.77.0.0/16`, /10\.77\.0\.0\/16/],
    [`${berth} --subnet 10.77.2.0/24 --aux-address nas=10.78.0.5`, /10\.78\.0\.5/],
    [
      `${berth} --subnet 10.77.2.0/24 --gateway 10.77.2.1 --aux-address nas=10.77.2.1`,
      /the address 10\.77\.2\.1 is held by the gateway of the network/,
    ],
    [`${berth} --subnet 10.77.2.0/24 --gateway 224.0.0.1`, /224\.0\.0\.1/],
  ];
  for (const [flags, says] of table) {
    test(flags, async () => {
      // Users repeat what failed; the second time is refused like the first.
      for (let time = 1; time <= 2; time++) {
        await refused(`network create ${flags} bad`, says);
        await assertIntact();
      }
    });
  }
});

test('who shares the subnet of a LAN takes nothing from the others when he goes, and when he comes', async () => {
  await start(host, 'on-lan', '--network lan');
  const shared = `network create ${lan} --subnet 10.77.9.0/24`;
  for (const name of ['second', 'third']) {
    await docker(host, `${shared} ${name}`);
    await docker(host, `network rm ${name}`);
  }
  await docker(host, `${shared} fourth`);
  await start(host, 'on-fourth', '--network fourth');
  await reaches([host, 'on-lan'], await addressOf(host, 'on-fourth'));
  await docker(host, 'rm -f on-lan on-fourth');
  await docker(host, 'network rm fourth');
  await assertIntact();
});

describe('docker run, connect, rm', () => {
  const table: readonly (readonly [line: string, says: RegExp])[] = [
    ['run --name bad --network net --ip 10.78.0.5 IMAGE true', /10\.78\.0\.5/],
    [
      'run --name bad --network net --ip 10.77.1.0 IMAGE true',
      /the address 10\.77\.1\.0 of 10\.77\.1\.0\/24 is not for hosts/,
    ],
    ['run --name bad --network net --ip 10.77.1.255 IMAGE true', /the address 10\.77\.1\.255 .*is not for hosts/],
    ['run --name bad --network net --ip 10.77.1.1 IMAGE true', /10\.77\.1\.1 is .*gateway/],
    ['run --name bad --network net --ip 10.77.1.9 IMAGE true', /10\.77\.1\.9 is held by the container holder/],
    ['run --name bad --network net --ip 10.77.1.300 IMAGE true', /10\.77\.1\.300/],
    ['run --name bad --network net --ip ::ffff:10.77.1.9 IMAGE true', /10\.77\.1\.9 is held by the container holder/],
    ['run --name bad --network net --ip6 fd77::5 IMAGE true', /fd77::5|IPv6|subnet/],
    ['run --name bad --network dual --ip6 fd78::5 IMAGE true', /fd78::5/],
    ['run --name bad --network dual --ip6 fd77::1 IMAGE true', /fd77::1 is .*gateway/],
    ['run --name bad --network dual --ip6 ::ffff:10.77.8.5 IMAGE true', /10\.77\.8\.5/],
    [
      'run --name bad --network net --mac-address 01:00:5e:00:00:01 IMAGE true',
      /"01:00:5e:00:00:01" is not the MAC address of one/,
    ],
    [
      'run --name bad --network net --mac-address ff:ff:ff:ff:ff:ff IMAGE true',
      /"ff:ff:ff:ff:ff:ff" is not the MAC address/,
    ],
    [
      'run --name bad --network net --mac-address 00:00:00:00:00:00 IMAGE true',
      /"00:00:00:00:00:00" is not the MAC address/,
    ],
    ['run --name bad --network net --mac-address nonsense IMAGE true', /nonsense/],
    [
      'run --name bad --network net --mac-address 02:42:00:00:00:09 IMAGE true',
      /the MAC address 02:42:00:00:00:09 is held by the container holder on this network/,
    ],
    ['run --name bad --network absent IMAGE true', /absent/],
    ['network connect --ip 10.77.1.9 net other', /already|10\.77\.1\.9/],
    ['network connect --driver-opt color=red dual holder', /the option 'color' is not known/],
    ['network connect --driver-opt mtu=12 dual holder', /the option 'mtu' is a whole number from 1280 to 65535/],
    ['network connect --driver-opt route=nonsense dual holder', /'route'.*nonsense/],
    ['network connect --driver-opt rate_out=fast dual holder', /'rate_out'.*fast/],
    ['network connect --driver-opt interface_name=../x dual holder', /'interface_name'.*\.\.\/x/],
    ['network connect --ip 10.77.8.1 dual holder', /10\.77\.8\.1 is .*gateway/],
    ['network rm net', /has active endpoints/],
  ];
  for (const [line, says] of table) {
    test(line, async () => {
      await refused(line.replace('IMAGE', image), says);
      await assertIntact();
    });
  }
});

describe('the command line', () => {
  const usage: readonly (readonly [words: string, says: RegExp])[] = [
    ['frobnicate', /unknown command 'frobnicate'/],
    ['netwrok ls', /unknown command 'netwrok'/],
    ['network inspect', /missing required argument 'network'/],
    ['network frobnicate', /unknown command 'frobnicate'/],
    ['network ls --nonsense', /unknown option '--nonsense'/],
    ['network ls and more', /too many arguments/],
    ['status --json=yes', /--json/],
    ['completion tcsh', /argument value 'tcsh' is invalid/],
    ['--run-dir', /argument missing/],
  ];
  for (const [words, says] of usage) {
    test(`berth ${words}`, async () => {
      const { code, stdout, stderr } = await host.berth(...words.split(' '));
      assert.equal(code, 2, stdout + stderr);
      assertPlainError(stderr, says);
    });
  }

  const unknown: readonly (readonly [words: string, code: number, says: RegExp])[] = [
    ['network inspect ent', 4, /there is no network 'ent'; did you mean net/],
    ['network inspect ../../etc', 4, /there is no network '\.\.\/\.\.\/etc'/],
    ['endpoint inspect zz', 4, /there is no endpoint 'zz'/],
    ['lease inspect 10.77.1.77', 4, /the address 10\.77\.1\.77 is not leased/],
    ['lease inspect nonsense', 1, /'nonsense' is not an address/],
    ['lease ls --pool nonsense', 4, /there is no pool 'nonsense'/],
    ['pool inspect %2e%2e', 4, /there is no pool '%2e%2e'/],
    ['network confirm absent', 4, /there is no network 'absent'/],
    ['--run-dir /absent status', 3, /no answer from the agent: there is no \/absent\/berth\.sock/],
  ];
  for (const [words, expected, says] of unknown) {
    test(`berth ${words}`, async () => {
      const { code, stdout, stderr } = await host.berth(...words.split(' '));
      assert.equal(code, expected, stdout + stderr);
      assert.match(stderr.split('\n')[0]!, says);
      assert.match(stderr, /\n {2}next: \S/);
      assert.doesNotMatch(stderr, /\n\s+at /);
    });
  }
});

describe('the configuration of the agent', () => {
  const flags: readonly (readonly [flags: string, says: RegExp])[] = [
    ['--log-level loud', /--log-level is one of trace, .*, not 'loud'/],
    ['--gc-grace never', /--gc-grace is a number of seconds from 1 to 86400, not 'never'/],
    ['--audit-interval 0', /--audit-interval is a number of seconds from 1 to 3600, not '0'/],
    ['--linger=-1', /--linger is a number of seconds from 0 to 3600, not '-1'/],
    ['--state-dir relative/path', /--state-dir is an absolute path, not 'relative\/path'/],
    ['--state-dir /proc/berth', /the folder \/proc\/berth cannot be made/],
    ['--run-dir /etc/passwd/x', /\/etc\/passwd is not a folder/],
    [`--plugin-dir /tmp/${'x'.repeat(120)}`, /the path of the socket .* is too long/],
    ['--docker http://x', /--docker is unix:\/\/\/path or tcp:\/\/host:port, not 'http:\/\/x'/],
    ['--docker tcp://x:99999999', /"tcp:\/\/x:99999999" is not the address of an engine/],
    ['--store consul://127.0.0.1:8500', /--store is sqlite, sqlite:PATH or etcd:.*, not 'consul:/],
    ['--store etcd://127.0.0.1:99999', /--store is .*, not 'etcd:/],
    ['--plugins berth', /--plugins is name=fabric\[:scope\]/],
    ['--plugins berth=neutrino', /--plugins is name=fabric\[:scope\]/],
    ['--plugins ../x=lan', /--plugins is name=fabric\[:scope\]/],
    ['--plugins a=lan,a=cluster', /--plugins is a list in which each name stands once/],
    ['--bridge no/such', /--bridge is the name of an interface/],
    ['--default-pools 10.0.0.0/16', /--default-pools is base:length/],
    ['--default-pools 10.0.0.0/16:8', /--default-pools is base:length/],
    ['--default-pools 10.0.0.1/16:24', /--default-pools is base:length/],
    ['--tls-address 127.0.0.1', /tls-address needs tls-ca, tls-cert, tls-key, tls-client-cert, tls-client-key as well/],
    ['--tls-ca /etc/passwd', /tls-address is missing, while other tls keys are given/],
    [
      '--tls-address 127.0.0.1 --tls-ca /absent --tls-cert /absent --tls-key /absent --tls-client-cert /absent --tls-client-key /absent',
      /cannot read .*\/absent/,
    ],
    ['--metrics-address nowhere', /--metrics-address is address:port, not 'nowhere'/],
    ['--metrics-address 127.0.0.1:99999', /--metrics-address is address:port, not '127\.0\.0\.1:99999'/],
    ['--metrics-address 203.0.113.7:9', /cannot listen on metrics-address 203\.0\.113\.7:9/],
    ['--config /absent.json', /the configuration file \/absent\.json cannot be read/],
    ['--nonsense 1', /unknown option '--nonsense'/],
    ['surplus', /too many arguments/],
  ];
  const own = ['--state-dir', '/var/lib/other', '--run-dir', '/run/other', '--plugin-dir', '/run/other/plugins'];
  for (const [line, says] of flags) {
    test(`berth agent ${line.length > 100 ? `${line.slice(0, 60)}…` : line}`, async () => {
      const { code, output } = await failingStart(host, [...own, ...line.split(' ')]);
      assert.equal(code, 2, output);
      assertPlainError(output, says);
    });
  }

  const files: readonly (readonly [content: string, says: RegExp])[] = [
    ['{ "log-level": "info", ', /the configuration file \/run\/berth\.json cannot be read: /],
    ['["log-level"]', /is not a JSON object/],
    ['{ "log_level": "info" }', /has an unknown key 'log_level'; did you mean 'log-level'\?/],
    ['{ "gc-grace": true }', /gc-grace in \/run\/berth\.json is a text or a number/],
    ['{ "gc-grace": 0 }', /gc-grace in \/run\/berth\.json is a number of seconds from 1 to 86400, not '0'/],
    ['{ "__proto__": { "gc-grace": "1" }, "constructor": "x" }', /has an unknown key/],
  ];
  for (const [content, says] of files) {
    test(`a configuration file of ${content}`, async () => {
      writeFileSync(host.path('/run/berth.json'), content);
      const { code, output } = await failingStart(host, [...own, '--config', '/run/berth.json']);
      assert.equal(code, 2, output);
      assertPlainError(output, says);
    });
  }

  test('BERTH_GC_GRACE=soon', async () => {
    const { code, output } = await failingStart(host, own, { BERTH_GC_GRACE: 'soon' });
    assert.equal(code, 2, output);
    assertPlainError(output, /BERTH_GC_GRACE is a number of seconds from 1 to 86400, not 'soon'/);
  });
});

describe('hostile requests on the plugin socket', () => {
  for (const [title, method, body, error] of hostileRequests) {
    test(`${method}: ${title}`, async () => {
      const reply = await call(host.path('/run/docker/plugins/berth.sock'), method, body);
      assert.equal(reply.status, 200);
      assertOneLine(reply.json, error);
    });
  }
});

test('after all of this everything is as before, and works', async () => {
  await assertIntact();
  await start(host, 'last', '--network net');
  await reaches([host, 'last'], '10.77.1.9');
  await reaches([host, 'last'], '10.8.65.1');
  assert.equal((await host.berth('status')).code, 0);
});
