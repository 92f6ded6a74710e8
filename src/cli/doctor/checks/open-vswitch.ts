import { type Check, type Finding, fail, ok, orOk, warn } from '../check.ts';
import type { Facts } from '../facts.ts';

/** Networks on bridges of Open vSwitch need its database, the bridge in it, and the switch itself. */
export const openVswitch: Check = {
  name: 'Open vSwitch',
  look(facts) {
    const networks = onOpenVswitch(facts);
    const there = facts.openVswitch;
    if (networks.length === 0) return 'error' in there ? [] : [ok(`it has ${describe(there.bridges)}`)];
    if ('error' in there) {
      return [fail(`${names(networks)} cannot be used: ${there.error}`, 'systemctl start openvswitch-switch')];
    }
    const missing = networks.flatMap(({ name, bridge }): Finding[] => {
      if (!there.bridges.some((candidate) => candidate.name === bridge)) {
        return [fail(`network ${name} is on the bridge ${bridge}, which is not there`, `ovs-vsctl add-br ${bridge}`)];
      }
      // Its local port is made by the switch itself.
      if (facts.links.some((link) => link.name === bridge)) return [];
      return [fail(`the switch does not run: there is no interface ${bridge}`, 'systemctl restart openvswitch-switch')];
    });
    const broken = there.ports.flatMap(({ name, error }) =>
      error === undefined ? [] : [warn(`the switch cannot use the port ${name}: ${error}`, 'berth audit --repair')],
    );
    return orOk([...missing, ...broken], `${names(networks)} on ${describe(there.bridges)}`);
  },
};

function onOpenVswitch({ agent }: Facts): { readonly name: string; readonly bridge: string }[] {
  return 'status' in agent
    ? agent.networks.flatMap(({ id, name, settings }) => {
        const { mode, bridge } = (settings ?? {}) as { readonly mode?: unknown; readonly bridge?: unknown };
        return mode === 'ovs' && typeof bridge === 'string' ? [{ name: name ?? id.slice(0, 12), bridge }] : [];
      })
    : [];
}

const names = (networks: readonly { readonly name: string }[]): string =>
  `network ${networks.map(({ name }) => name).join(', ')}`;

function describe(bridges: readonly { readonly name: string; readonly datapath: string }[]): string {
  if (bridges.length === 0) return 'no bridge';
  return bridges
    .map(({ name, datapath }) => `${name} (${datapath === 'netdev' ? 'in user space: slow' : "the kernel's datapath"})`)
    .join(', ');
}
