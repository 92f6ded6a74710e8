/** That nothing is left behind: of Berth's records, and of what it had in the kernel. */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from '../bed/host.ts';
import type { Machine } from '../bed/machine.ts';
import { waitFor } from '../bed/process.ts';

/** Links that Berth makes: a network's bridge, an endpoint's link or both ends of its pair, a VLAN, the host's own way in. */
const OURS = /^(bt|bv|bp|bl|bs)[0-9a-f]{13}$/;

/** Removes all containers and all networks that the engine did not make itself. */
export async function clear(host: Host): Promise<void> {
  const list = async (path: string) => JSON.parse((await host.api(path)).body) as Listed[];
  await Promise.all(
    (await list('/containers/json?all=1')).map(({ Id }) =>
      host.api(`/containers/${Id}?force=1&v=1`, { method: 'DELETE' }),
    ),
  );
  const networks = (await list('/networks')).filter(
    ({ Name }) => !['bridge', 'host', 'none', 'docker_gwbridge'].includes(Name ?? ''),
  );
  const left = await stillThere(host, networks);
  if (left.length === 0) return;
  // An engine that ends many containers at once may lose count of a network's endpoints, and counts anew only when it starts
  // ("Fixing inconsistent endpoint_cnt", libnetwork `cleanupLocalEndpoints`). That there are none is what it and Berth say themselves.
  for (const { Id, Name } of left) {
    const { Containers } = JSON.parse((await host.api(`/networks/${Id}`)).body) as { Containers: object };
    assert.deepEqual(Containers, {}, `network ${Name} has active endpoints`);
    const [known] = JSON.parse((await host.berth('network', 'inspect', Id, '--json')).stdout) as {
      endpoints: number;
    }[];
    assert.equal(known?.endpoints, 0, `network ${Name} has active endpoints`);
  }
  await host.restartEngine();
  assert.deepEqual(await stillThere(host, left), []);
}

interface Listed {
  readonly Id: string;
  readonly Name?: string;
}

/**
 * Those of the networks that the engine does not let go of. A busy one gives up waiting for the end of a container that it removes
 * (Daemon.Kill: 10 s), says that it is removed, and takes it off its networks afterwards.
 */
async function stillThere(host: Host, networks: readonly Listed[]): Promise<readonly Listed[]> {
  let left = networks;
  const until = performance.now() + 15_000;
  for (;;) {
    const answers = await Promise.all(left.map(({ Id }) => host.api(`/networks/${Id}`, { method: 'DELETE' })));
    for (const [index, { status, body }] of answers.entries())
      assert.ok(status === 204 || body.includes('has active endpoints'), `network ${left[index]!.Name}: ${body}`);
    left = left.filter((_, index) => answers[index]!.status !== 204);
    if (left.length === 0 || performance.now() > until) return left;
    await delay(200);
  }
}

/** Waits until nothing of Berth is left on a host whose engine has no network of ours any more. @throws naming the rest. */
export async function nothingLeft(host: Host): Promise<void> {
  let left: readonly string[] = [];
  await waitFor(
    () => `nothing to be left on ${host.name}: ${left.join(', ')}`,
    async () => {
      left = await records(host);
      // What is in the kernel is asked for by programs, which cost as much as a test; and it goes no later than the records.
      if (left.length === 0) left = await kernelRemains(host);
      return left.length === 0;
    },
    30_000,
    50,
  );
}

/** The same, asked for the way a user does. */
export async function nothingListed(host: Host): Promise<void> {
  for (const kind of ['network', 'endpoint', 'pool', 'lease', 'name']) {
    const { code, stdout, stderr } = await host.berth(kind, 'ls', '--json');
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), [], `berth ${kind} ls --json`);
  }
}

async function records(host: Host): Promise<string[]> {
  const kinds = ['networks', 'endpoints', 'pools', 'leases', 'names'];
  const found = await Promise.all(
    kinds.map(async (kind) => {
      const { status, body } = await host.berthApi(`/v1/${kind}`);
      assert.equal(status, 200, body);
      return (JSON.parse(body) as unknown[]).map((record) => `${kind} ${JSON.stringify(record)}`);
    }),
  );
  return found.flat();
}

async function kernelRemains(machine: Machine): Promise<string[]> {
  const [links, rules, tables, accepts] = await Promise.all([
    machine.net(['ip', '-j', 'link']),
    Promise.all(['-4', '-6'].map((family) => machine.net(['ip', family, 'rule', 'show', 'priority', '1860']))),
    // nft 1.0.6 crashes at times while tables change: then it is asked again.
    machine.net(['nft', 'list', 'tables'], { check: false }),
    // The engine's own programs: on some hosts these rules are not in nf_tables.
    machine.exec(['iptables', '-S', 'DOCKER-USER'], { check: false }),
  ]);
  return [
    ...(JSON.parse(links.stdout) as { ifname: string }[]).map(({ ifname }) => ifname).filter((name) => OURS.test(name)),
    ...rules.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== '')),
    ...(tables.code === 0 ? [] : [`nft ended with ${tables.code}: ${tables.stderr}`]),
    ...tables.stdout.split('\n').filter((line) => / (berth|berth_tenants|bs[0-9a-f]{13})$/.test(line)),
    ...accepts.stdout.split('\n').filter((line) => line.includes('berth')),
  ];
}
