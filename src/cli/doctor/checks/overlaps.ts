import { overlaps as overlap, parsePrefix } from '../../../model/prefix.ts';
import { type Check, type Finding, orOk, warn } from '../check.ts';
import { berthNetworks, type Facts } from '../facts.ts';

/** Two subnets that overlap: packets for one end up in the other. */
export const overlaps: Check = {
  name: 'subnets',
  look(facts) {
    const findings = berthNetworks(facts).flatMap((network) =>
      network.subnets.flatMap((subnet) => [
        ...withEngine(network, subnet, facts),
        ...withRoutes(network, subnet, facts),
      ]),
    );
    return orOk(findings, 'no two overlap');
  },
};

function clash(a: string, b: string): boolean {
  const [one, other] = [parsePrefix(a), parsePrefix(b)];
  return one !== undefined && other !== undefined && overlap(one, other);
}

interface Named {
  readonly name: string;
  readonly id: string;
}

function withEngine({ name, id }: Named, subnet: string, { engine }: Facts): Finding[] {
  return engine.networks
    .filter((other) => other.id !== id && other.name !== name)
    .flatMap((other) => {
      const hit = other.subnets.find((candidate) => clash(subnet, candidate));
      if (hit === undefined) return [];
      return [
        warn(
          `${subnet} of network ${name} overlaps ${hit} of Docker’s network ${other.name} (${other.driver})`,
          `docker network rm ${other.name}`,
        ),
      ];
    });
}

/** A network of the LAN has the LAN's own route on purpose; any other has only the route of its own bridge. */
function withRoutes({ name, id }: Named, subnet: string, { agent, routes, engine }: Facts): Finding[] {
  const network = 'networks' in agent ? agent.networks.find((candidate) => candidate.id === id) : undefined;
  if (network?.fabric !== 'cluster') return [];
  // A network of the engine has a route as well, and has been told of already.
  const told = engine.networks
    .filter((other) => other.id !== id && other.name !== name)
    .flatMap(({ subnets }) => subnets);
  return routes
    .filter(({ destination, link, direct }) => {
      const own = link.startsWith('bt');
      return direct && !own && destination !== 'default' && clash(subnet, destination) && !told.includes(destination);
    })
    .map(({ destination, link }) =>
      warn(
        `${subnet} of network ${name} overlaps ${destination}, which this host reaches by ${link}`,
        `docker network rm ${name}`,
      ),
    );
}
