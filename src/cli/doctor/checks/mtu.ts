import { type Check, type Finding, orOk, warn } from '../check.ts';
import { uplink } from '../facts.ts';

/** Docker's own bridges, whose MTU does not follow the uplink: small packets pass, large ones vanish. */
const engineBridges = ['docker0', 'docker_gwbridge'];

/** No interface of a container may be larger than the way out. */
export const mtu: Check = {
  name: 'MTU',
  look(facts) {
    const out = uplink(facts);
    if (out === undefined) return [];
    const networks = 'networks' in facts.agent ? facts.agent.networks : [];
    const findings: Finding[] = [
      ...networks.flatMap(({ name, id, plugin, mtu: now, options, fabric, internal }) => {
        // One that no container is on has none yet.
        const size = now ?? chosen(options);
        if (size === undefined || size <= out.mtu || fabric !== 'cluster' || internal) return [];
        const called = name ?? id.slice(0, 12);
        return [
          warn(
            `network ${called} has MTU ${size}, and the uplink ${out.name} only ${out.mtu}`,
            `docker network rm ${called} && docker network create -d ${plugin} -o mtu=${out.mtu} ${called}`,
          ),
        ];
      }),
      ...facts.links.flatMap(({ name, mtu: size }) => {
        if (!engineBridges.includes(name) || size <= out.mtu) return [];
        const fix =
          name === 'docker0'
            ? `ip link set docker0 mtu ${out.mtu}`
            : `docker network rm docker_gwbridge && docker network create -o com.docker.network.bridge.name=docker_gwbridge -o com.docker.network.driver.mtu=${out.mtu} docker_gwbridge`;
        return [
          warn(
            `Docker’s bridge ${name} has MTU ${size}, and the uplink ${out.name} only ${out.mtu}: large packets of published ports are lost`,
            fix,
          ),
        ];
      }),
    ];
    return orOk(findings, `nothing is larger than the ${out.mtu} bytes of the uplink ${out.name}`);
  },
};

function chosen(options: Readonly<Record<string, string>>): number | undefined {
  const text = options.mtu ?? options['com.docker.network.driver.mtu'];
  return text === undefined ? undefined : Number(text);
}
