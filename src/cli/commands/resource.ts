/** What Berth keeps, to be listed and inspected: the commands. What they do is in `../resources.ts`. */

import type { Command } from 'commander';
import { guide } from '../help.ts';
import type { ResourceKind } from '../resources.ts';
import type { Binder } from '../session.ts';
import { usageError } from '../usage-error.ts';
import { clusterNetworkCommands, withCluster } from './cluster.ts';
import { uplinkCommands } from './uplink.ts';

interface ResourceShape {
  readonly kind: ResourceKind;
  readonly what: string;
  readonly argument: string;
  readonly argumentHelp: string;
  readonly sample: string;
  /** How one is made and removed, for who tries it here. */
  readonly made: string;
}

const resources: readonly ResourceShape[] = [
  {
    kind: 'host',
    what: 'hosts of the cluster',
    argument: 'host',
    argumentHelp: 'name of the host',
    sample: 'host1',
    made: 'A host is in the cluster once its agent runs with the cluster’s store: berth agent --store etcd://HOST:PORT',
  },
  {
    kind: 'network',
    what: 'networks',
    argument: 'network',
    argumentHelp: 'id, unique beginning of an id, or Docker’s name',
    sample: 'lan',
    made: 'Networks are made and removed with: docker network create -d berth-lan, docker network rm; the cluster’s with: berth network create, berth network rm',
  },
  {
    kind: 'endpoint',
    what: 'endpoints: one for each container on a network',
    argument: 'endpoint',
    argumentHelp: 'id, or unique beginning of an id',
    sample: '3f2a',
    made: 'Endpoints are made and removed with: docker network connect, docker network disconnect',
  },
  {
    kind: 'attachment',
    what: 'attachments: containers that `berth attach` plugged in',
    argument: 'attachment',
    argumentHelp: 'name of the container, id, or unique beginning of an id',
    sample: 'web',
    made: 'Attachments are made and removed with: berth attach, berth detach',
  },
  {
    kind: 'pool',
    what: 'pools of addresses',
    argument: 'pool',
    argumentHelp: 'id of the pool',
    sample: 'local/10.1.0.0-24',
    made: 'Pools come and go with the networks: docker network create --ipam-driver berth, docker network rm',
  },
  {
    kind: 'lease',
    what: 'leases: who holds which address',
    argument: 'address',
    argumentHelp: 'an IP address',
    sample: '10.1.0.5',
    made: 'Leases come and go with the containers; what is left of none is removed with: berth gc --apply',
  },
  {
    kind: 'reservation',
    what: 'reservations: which address is kept for whom',
    argument: 'reserved',
    argumentHelp: 'an address that is reserved',
    sample: '10.1.0.20',
    made: 'Reservations are made and removed with: berth reserve, berth unreserve',
  },
  {
    kind: 'name',
    what: 'names of containers on LANs',
    argument: 'name',
    argumentHelp: 'a name in full, or the name of a container',
    sample: 'web.local',
    made: 'Names come with the network: docker network create -d berth-lan -o mdns=true',
  },
  {
    kind: 'uplink',
    what: 'uplinks: NICs of this host that bridges were made from',
    argument: 'uplink',
    argumentHelp: 'the NIC or its bridge',
    sample: 'eth0',
    made: 'Uplinks come with the network: docker network create -d berth-lan -o parent=NIC',
  },
];

/** The groups of commands that look at what there is: `berth network ls`, `berth lease inspect`. */
export function resourceCommands(program: Command, on: Binder): void {
  for (const shape of resources) {
    const group = program.command(shape.kind).description(`list and inspect ${shape.what}`);
    const { outputError } = group.configureOutput();
    group.configureOutput({
      outputError: (text, write) =>
        MAKING.test(text) ? write(usageError(text.split('\n')[0]!, shape.made)) : outputError!(text, write),
    });
    listCommand(group, shape.kind, on);
    inspectCommand(group, shape, on);
    if (shape.kind === 'uplink') uplinkCommands(group, on);
    if (shape.kind === 'host') removeHostCommand(group, shape, on);
    if (shape.kind !== 'network') continue;
    clusterNetworkCommands(group, on);
    confirmCommand(group, shape, on);
  }
}

const MAKING = /unknown command '(?:add|create|del|delete|make|new|remove|rm)'/;

/** `ls`, in the group of these resources, or below the command that makes them. */
export function listCommand(group: Command, kind: ResourceKind, on: Binder): void {
  const { what } = resources.find((shape) => shape.kind === kind)!;
  const ls = withCluster(group.command('ls'), kind, on, async () => {
    const { list } = await import('../resources.ts');
    return (session, _args, options) => list(kind, session, options);
  })
    .alias('list')
    .description(`list ${what}`)
    .option('-q, --quiet', 'print only ids')
    .option('--no-trunc', 'print whole ids');
  if (kind === 'lease') ls.option('--pool <pool>', 'only those of one pool');
  const name = group.name();
  guide(ls, { examples: [[`berth ${name} ls`], [`berth ${name} ls --json`]] });
}

function inspectCommand(group: Command, { kind, argument, argumentHelp, sample }: ResourceShape, on: Binder): void {
  const command = withCluster(group.command('inspect'), kind, on, async () => {
    const { inspect } = await import('../resources.ts');
    return (session, args) => inspect(kind, session, args[0] as readonly string[]);
  })
    .alias('show')
    .description(`print everything about ${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`)
    .argument(`<${argument}...>`, argumentHelp);
  guide(command, {
    remark: `With --json always an array, one element for each that was found.${
      kind === 'network' || kind === 'endpoint' ? ' With --cluster JSON in any case, one object for each.' : ''
    }`,
    examples: [[`berth ${kind} inspect ${sample}`], [`berth ${kind} inspect --json ${sample}`]],
  });
}

function removeHostCommand(group: Command, { argumentHelp }: ResourceShape, on: Binder): void {
  const command = on(group.command('rm'), async () => {
    const { removeHosts } = await import('../resources.ts');
    return (session, args) => removeHosts(session, args[0] as readonly string[]);
  })
    .alias('remove')
    .description('remove hosts that are gone for good, with the addresses that their containers held')
    .argument('<host...>', argumentHelp);
  guide(command, {
    remark:
      'Refused while its agent runs. A host that comes back is in the cluster again; its containers may then have addresses that\nothers were given meanwhile, so remove only what does not come back.',
    examples: [['berth host rm host7']],
  });
}

function confirmCommand(group: Command, { argumentHelp }: ResourceShape, on: Binder): void {
  const command = on(group.command('confirm'), async () => {
    const { confirm } = await import('../resources.ts');
    return (session, args) => confirm(session, args[0] as string);
  })
    .description('keep the bridge that Berth made of an uplink; unconfirmed, it is undone')
    .argument('<network>', argumentHelp);
  guide(command, { examples: [['berth network confirm lan']] });
}
