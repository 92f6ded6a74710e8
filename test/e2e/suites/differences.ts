/** Where engines differ for who uses Berth: docs/engines.md, as a test. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import { CommandError } from '../bed/process.ts';
import { defaultRoute, docker, dockerFails, interfaces, onlyInterface, reaches, start } from './containers.ts';
import { setStage } from './stage.ts';

interface Traits {
  /** `docker run` with several `--network`, and a MAC address for each. */
  readonly severalNetworks: boolean;
  /** `--network name=…,gw-priority=…`. */
  readonly gatewayPriority: boolean;
  /** `docker network create --ipv4=false`. */
  readonly withoutIPv4: boolean;
  /** Says itself that a subnet has host bits; otherwise Berth does, and Docker's own IPAM passes over them. */
  readonly checksHostBits: boolean;
  /** `--ipv6` without a subnet, with Docker's own IPAM. */
  readonly choosesIPv6: boolean;
  /** Two networks of one name, made through the API. */
  readonly namesTwice: boolean;
  /** `docker network rm` names the endpoints in its way. */
  readonly namesEndpoints: boolean;
  /** Leases no IPv6 address for a container that has IPv6 switched off by `--sysctl`. */
  readonly sparesIPv6: boolean;
}

const traits: Readonly<Record<EngineVersion, Traits>> = {
  '20.10': {
    severalNetworks: false,
    gatewayPriority: false,
    withoutIPv4: false,
    checksHostBits: false,
    choosesIPv6: false,
    namesTwice: true,
    namesEndpoints: false,
    sparesIPv6: false,
  },
  '26.1': {
    severalNetworks: true,
    gatewayPriority: false,
    withoutIPv4: false,
    checksHostBits: true,
    choosesIPv6: false,
    namesTwice: false,
    namesEndpoints: false,
    sparesIPv6: false,
  },
  '28.5': {
    severalNetworks: true,
    gatewayPriority: true,
    withoutIPv4: true,
    checksHostBits: true,
    choosesIPv6: true,
    namesTwice: false,
    namesEndpoints: true,
    sparesIPv6: true,
  },
};

const create = 'network create --driver berth --ipam-driver berth';

export function differences(engine: EngineVersion): void {
  describe(`what is particular to ${engine}`, () => {
    const stage = setStage(engine, async (bed, version) => {
      const host = await bed.host('host', { engine: version });
      await host.startBerth();
      return { host };
    });
    const expected = traits[engine];

    test('several networks at docker run', async () => {
      const { host } = stage();
      await docker(host, `${create} --subnet 10.77.1.0/24 n1`);
      await docker(host, `${create} --subnet 10.77.2.0/24 n2`);
      const several = '--network n1 --network name=n2,mac-address=0a:00:27:00:00:05';
      assert.equal(
        await succeeds(host, `create --name box ${several} ${await host.image()} sleep 1000000`),
        expected.severalNetworks,
      );
      if (expected.severalNetworks) {
        await docker(host, 'start box');
        const cards = await interfaces(host, 'box');
        assert.deepEqual(cards.flatMap(({ addresses }) => addresses).toSorted(), ['10.77.1.2/24', '10.77.2.2/24']);
        assert.ok(cards.some(({ mac }) => mac === '0a:00:27:00:00:05'));
      }
      const priority = '--network n1 --network name=n2,gw-priority=1';
      assert.equal(
        await succeeds(host, `run -d --name prior ${priority} ${await host.image()} sleep 1000000`),
        expected.gatewayPriority,
      );
      if (expected.gatewayPriority) assert.match(await defaultRoute(host, 'prior'), /^10\.77\.2\.1 /);
      // Without a word about it, all engines take the network whose name comes first.
      await start(host, 'plain', '--network n2');
      await docker(host, 'network connect n1 plain');
      assert.equal(await defaultRoute(host, 'plain'), '10.77.1.1 eth1');
    });

    test('subnets', async () => {
      const { host } = stage();
      const whose = expected.checksHostBits
        ? /invalid subnet 10\.77\.1\.5\/24/
        : /remote: .*"10\.77\.1\.5\/24" has host bits set/;
      assert.match(await dockerFails(host, `${create} --subnet 10.77.1.5/24 bits`), whose);
      const byDocker = 'network create --driver berth';
      assert.equal(await succeeds(host, `${byDocker} --subnet 10.77.1.5/24 bits`), !expected.checksHostBits);
      assert.equal(await succeeds(host, `${byDocker} --ipv6 six`), expected.choosesIPv6);
      // Ours chooses one in any case.
      await docker(host, `${create} --ipv6 ours`);
      assert.equal(await succeeds(host, `${create} --ipv4=false --ipv6 --subnet fd77::/64 only`), expected.withoutIPv4);
      if (expected.withoutIPv4) {
        await start(host, 'box', '--network only');
        assert.deepEqual((await onlyInterface(host, 'box')).addresses, ['fd77::2/64']);
        await reaches([host, 'box'], 'fd77::1');
      }
    });

    test('names', async () => {
      const { host } = stage();
      await docker(host, `${create} --subnet 10.77.1.0/24 n`);
      const ipam = { Driver: 'berth', Config: [{ Subnet: '10.77.2.0/24' }] };
      const again = { method: 'POST', body: { Name: 'n', Driver: 'berth', IPAM: ipam } };
      assert.equal((await host.api('/networks/create', again)).status, expected.namesTwice ? 201 : 409);
      await docker(host, `${create} --subnet 10.77.3.0/24 used`);
      await start(host, 'user', '--network used');
      const said = await dockerFails(host, 'network rm used');
      assert.match(said, /has active endpoints/);
      assert.equal(said.includes('name:"user"'), expected.namesEndpoints);
    });

    test('a container without IPv6', async () => {
      const { host } = stage();
      await docker(host, `${create} --subnet 10.77.1.0/24 --ipv6 --subnet fd77::/64 n`);
      await start(host, 'four', '--network n --sysctl net.ipv6.conf.all.disable_ipv6=1');
      const { stdout } = await host.berth('lease', 'ls', '--json');
      const leases = (JSON.parse(stdout) as { address: string }[]).map(({ address }) => address);
      assert.equal(leases.includes('fd77::2'), !expected.sparesIPv6);
    });
  });
}

async function succeeds(host: Host, line: string): Promise<boolean> {
  try {
    await docker(host, line);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
