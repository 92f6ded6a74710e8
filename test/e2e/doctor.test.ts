/** The doctor on hosts with one fault each: it finds that one and no other, and its command mends it. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { repository } from './bed/machine.ts';
import { cannotReach, docker, reaches, start } from './suites/containers.ts';
import { setStage } from './suites/stage.ts';

interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly message: string;
  readonly fix?: string;
}

/** What is not well. */
async function examine(host: Host): Promise<readonly Finding[]> {
  const { stdout, stderr, code } = await host.berth('doctor', '--json');
  assert.notEqual(stdout, '', stderr);
  const findings = (JSON.parse(stdout) as Finding[]).filter(({ level }) => level !== 'ok');
  assert.equal(code, findings.some(({ level }) => level === 'fail') ? 1 : 0, stdout);
  return findings;
}

/** Types what the doctor says, as root in a shell. */
async function type(host: Host, command: string): Promise<void> {
  await host.sh(`PATH=${join(repository, 'bin')}:$PATH; ${command}`, { env: { BERTH_RUN_DIR: '/run/berth' } });
}

interface Fault {
  readonly name: string;
  /** A shell script in the host. */
  readonly damage: string;
  readonly level: 'warn' | 'fail';
  readonly check: string;
  readonly message: RegExp;
  /** What the fix leaves of the fault. */
  readonly undo?: string;
}

const faults: readonly Fault[] = [
  {
    name: 'a socket that nobody listens on',
    damage: `node -e "require('net').createServer().listen('/run/docker/plugins/dead.sock', () => process.kill(process.pid, 'SIGKILL'))" || true`,
    level: 'fail',
    check: 'plugin files',
    message: /nothing listens on \/run\/docker\/plugins\/dead\.sock, and Docker waits 15 s for it each time/,
  },
  {
    name: 'a discovery file for a name that has a socket',
    damage: 'echo tcp://127.0.0.1:1 >/usr/lib/docker/plugins/berth.spec',
    level: 'warn',
    check: 'plugin files',
    message: /\/usr\/lib\/docker\/plugins\/berth\.spec \(tcp:\/\/127\.0\.0\.1:1\) is shadowed/,
  },
  {
    name: 'no forwarding of IPv4',
    damage: 'sysctl -qw net.ipv4.ip_forward=0',
    level: 'warn',
    check: 'forwarding',
    message: /this host does not forward IPv4/,
  },
  {
    name: 'no forwarding of IPv6',
    damage: 'sysctl -qw net.ipv6.conf.all.forwarding=0',
    level: 'warn',
    check: 'forwarding',
    message: /this host does not forward IPv6/,
  },
  {
    name: 'another table that drops what is forwarded',
    damage:
      "nft add table inet strict; nft add chain inet strict forward '{ type filter hook forward priority 10; policy drop; }'",
    level: 'warn',
    check: 'firewall',
    message: /the nftables chain inet strict forward drops forwarded packets/,
    undo: 'nft delete table inet strict',
  },
  {
    name: "a network of the engine's on the same subnet",
    damage: 'docker network create --subnet 10.66.0.0/25 clash',
    level: 'warn',
    check: 'subnets',
    message: /10\.66\.0\.0\/24 of network shop overlaps 10\.66\.0\.0\/25 of Docker’s network clash \(bridge\)/,
  },
  {
    name: 'a network that is larger than its uplink',
    damage: 'docker network create -d berth --ipam-driver berth -o mtu=9000 jumbo',
    level: 'warn',
    check: 'MTU',
    message: /network jumbo has MTU 9000, and the uplink eth0 only 1500/,
  },
  {
    name: "the engine's bridge is larger than the uplink",
    damage: 'ip link set docker0 mtu 9000',
    level: 'warn',
    check: 'MTU',
    message: /Docker’s bridge docker0 has MTU 9000, and the uplink eth0 only 1500/,
  },
  {
    name: 'a strict reverse path filter',
    damage: 'sysctl -qw net.ipv4.conf.all.rp_filter=1',
    level: 'warn',
    check: 'reverse path',
    message: /rp_filter is strict/,
  },
];

describe('the doctor', () => {
  const stage = setStage('20.10', async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    // Nothing may be mended before the doctor has seen it.
    await host.startBerth(['--audit-interval', '3600', '--linger', '0']);
    return { host };
  });

  for (const { name, damage, level, check, message, undo } of faults) {
    test(name, async () => {
      const { host } = stage();
      await docker(host, 'network create -d berth --ipam-driver berth --ipv6 --subnet 10.66.0.0/24 shop');
      await start(host, 'web', '--network shop');
      assert.deepEqual(await examine(host), [], 'the host is well before');
      await host.sh(damage);
      const found = await examine(host);
      assert.deepEqual(
        found.map((finding) => [finding.level, finding.check]),
        [[level, check]],
        JSON.stringify(found, undefined, 1),
      );
      assert.match(found[0]!.message, message);
      assert.ok(found[0]!.fix !== undefined && !found[0]!.fix.includes('\n'), 'one command');
      await type(host, found[0]!.fix);
      assert.deepEqual(await examine(host), [], `'${found[0]!.fix}' mends it`);
      if (undo !== undefined) await host.sh(undo);
    });
  }
});

test('a host whose engine keeps its hands off the packet filter', async () => {
  await using bed = await openBed('doctor');
  const host = await bed.host('h1', { flags: ['--iptables=false', '--ip6tables=false'] });
  await host.image();
  await host.startBerth(['--linger', '0']);
  await docker(host, 'network create -d berth --ipam-driver berth --ipv6 --subnet 10.66.0.0/24 shop');
  await start(host, 'web', '--network shop');
  await reaches([host, 'web'], '10.8.65.1');
  assert.deepEqual(await examine(host), []);
  await host.sh('iptables -P FORWARD DROP');
  await cannotReach([host, 'web'], '10.8.65.1');
  const [finding, ...others] = await examine(host);
  assert.deepEqual([finding?.check, others], ['firewall', []]);
  assert.match(finding!.message, /iptables drops forwarded packets, and Docker’s chain for exceptions/);
  await type(host, finding!.fix!);
  assert.deepEqual(await examine(host), []);
  await reaches([host, 'web'], '10.8.65.1');
});
