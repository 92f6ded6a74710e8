/**
 * Containers that Berth plugs in itself (`berth attach`). The record is the endpoint's; what must stand follows from it and from
 * whether its container runs, which the engine tells: a container that is started again has a new network namespace, and is
 * plugged in again. No plugin call is involved, and nothing here is called from one.
 */

import { randomBytes } from 'node:crypto';
import type { Engine, EngineEvent } from '../docker/engine.ts';
import { pluggedObjects } from '../fabric/plugged.ts';
import { makeOrder } from '../kernel/batch.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Attachment } from '../model/attachment.ts';
import { asBerthError, BerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { contains } from '../model/prefix.ts';
import { announceTwice } from './announcing.ts';
import { checkSandbox, displaced, formerRoutes } from './attach-container.ts';
import { type PlanParts, planEndpoint, planNetwork } from './attach-plan.ts';
import type { AttachRequest } from './attach-request.ts';
import type { Conflicts } from './conflicts/conflicts.ts';
import { isLeased } from './desired.ts';
import type { Events } from './events.ts';
import { isNamespace } from './occupied.ts';
import { within } from './within.ts';

/** An endpoint that is an attachment. */
export type AttachedEndpoint = Endpoint & { readonly attachment: Attachment };

export interface Attachments {
  all(): readonly AttachedEndpoint[];
  /**
   * Plugs a running container in, and keeps it so. The same request again changes nothing.
   *
   * @param find the network of that name or id; rejects when there is none.
   * @throws BerthError CONTAINER_UNKNOWN, CONTAINER_STOPPED, CONTAINER_UNSUITABLE, and what `attach-plan.ts` and the kernel refuse.
   */
  attach(request: AttachRequest, find: (wanted: string) => Network): Promise<AttachedEndpoint>;
  /** Unplugs for good: of a running container, its interface is gone, and its former default route is back. */
  detach(id: EndpointId): Promise<void>;
  /** Docker removes a network: what was attached to it goes first. Never rejects, and does not hold the removal up for long. */
  networkGoes(network: NetworkId): Promise<void>;
  /** Why an attachment is not plugged in although its container runs. */
  problem(id: EndpointId): string | undefined;
  /** All of these, a sentence each. */
  problems(): readonly string[];
  hear(event: EngineEvent): void;
  /** Forgets what was plugged into containers that have ended, and networks that were made up for nothing. Before the first audit. */
  recover(): Promise<void>;
  start(): void;
  stop(): void;
}

export interface AttachmentsParts extends PlanParts {
  readonly engine: Pick<Engine, 'container'>;
  readonly kernel: Kernel;
  readonly conflicts: Pick<Conflicts, 'settle' | 'left'>;
  readonly events: Events;
  /** Whether it is another engine than the one that the records are of: then what it does not know means nothing. */
  strange(): boolean;
  /** Milliseconds after which what could not be done is tried again. */
  readonly interval: number;
}

/** Milliseconds for which Docker waits: one that is being looked after at the moment may be waiting for the engine. */
const PATIENCE_FOR_REMOVAL = 2000;
/** What of a container's life concerns us. */
const TURNS = new Set(['start', 'die', 'destroy', 'rename']);

export function createAttachments(parts: AttachmentsParts): Attachments {
  const { state, lifecycle, leases, dhcp, kernel, engine, conflicts, events } = parts;
  const problems = new Map<EndpointId, string>();
  let timer: NodeJS.Timeout | undefined;

  const all = (): AttachedEndpoint[] => [...state.endpoints.values()].filter(isAttached);
  const describe = ({ attachment }: AttachedEndpoint): string =>
    `${attachment.interface} of the container ${attachment.container.name}`;
  const tell = (event: string, endpoint: AttachedEndpoint, sentence: string): void =>
    events.emit(`attachment.${event}`, sentence, {
      attachment: endpoint.id,
      container: endpoint.attachment.container.name,
      network: endpoint.network,
    });

  /** @throws BerthError INTERFACE_EXISTS, ADDRESS_CONFLICT, and what the kernel refuses */
  async function plug(endpoint: AttachedEndpoint, sandbox: string): Promise<void> {
    const { attachment } = endpoint;
    const inside = await kernel.view(sandbox);
    if (inside.links.some(({ name }) => name === attachment.interface)) {
      throw new BerthError(
        'INTERFACE_EXISTS',
        `the container ${attachment.container.name} has an interface ${attachment.interface} of its own`,
      );
    }
    await conflicts.settle(state.networks.get(endpoint.network)!, endpoint);
    await state.putEndpoint({ ...endpoint, attachment: { ...attachment, displaced: displaced(attachment, inside) } });
    await lifecycle.plug(endpoint.id, sandbox);
    await setLeased(endpoint.id);
    dhcp.attached(endpoint.id);
    tell('plugged', endpoint, `${describe(endpoint)} was plugged in`);
    // Neighbours that are not told find out later.
    await announce(endpoint, sandbox).catch(() => undefined);
  }

  /** An address from a DHCP server, and the routes that came with it. */
  async function setLeased(id: EndpointId): Promise<void> {
    const endpoint = state.endpoints.get(id);
    const network = endpoint && state.networks.get(endpoint.network);
    if (endpoint === undefined || network === undefined || !isLeased(endpoint)) return;
    await kernel.execute(makeOrder(pluggedObjects(network, endpoint)).map((object) => ({ make: object })));
  }

  async function announce({ attachment, mac, addresses }: AttachedEndpoint, netns: string): Promise<void> {
    const link = (await kernel.view(netns)).links.find(({ name }) => name === attachment.interface);
    if (link === undefined || addresses.length === 0) return;
    await announceTwice(kernel, {
      netns,
      link: link.index,
      mac,
      addresses: addresses.map(({ address }) => address),
    });
  }

  /** Brings an attachment to where its container is. */
  async function converge(id: EndpointId): Promise<void> {
    const endpoint = state.endpoints.get(id);
    if (!isAttached(endpoint) || endpoint.phase === 'removing') return;
    const { attachment } = endpoint;
    const seen =
      (await engine.container(attachment.container.id)) ??
      (attachment.keep ? await engine.container(attachment.container.name) : undefined);
    if (seen === undefined) {
      if (parts.strange()) return;
      if (attachment.keep) await lifecycle.unplug(id);
      else await remove(endpoint, 'its container was removed');
      return;
    }
    if (seen.id !== attachment.container.id || seen.name !== attachment.container.name) {
      const container = { id: seen.id, name: seen.name };
      await state.putEndpoint({ ...endpoint, attachment: { ...attachment, container } });
    }
    if (seen.sandbox === undefined) {
      conflicts.left(endpoint);
      await lifecycle.unplug(id);
      return;
    }
    if (endpoint.phase === 'attached') {
      if (endpoint.sandbox === seen.sandbox) return;
      conflicts.left(endpoint);
      await lifecycle.unplug(id);
    }
    const now = state.endpoints.get(id);
    if (isAttached(now)) await plug(now, checkSandbox(seen));
  }

  function follow(id: EndpointId): void {
    void lifecycle
      .serialise(id, () => converge(id))
      .then(
        () => problems.delete(id),
        (error: unknown) => {
          const { code, message } = asBerthError(error);
          const endpoint = state.endpoints.get(id);
          // The engine is asked again as soon as it answers.
          if (code === 'ENGINE_UNREACHABLE' || !isAttached(endpoint) || problems.get(id) === message) return;
          problems.set(id, message);
          tell('failed', endpoint, `${describe(endpoint)} could not be plugged in: ${message}`);
        },
      );
  }

  function followAll(): void {
    for (const { id } of all()) follow(id);
  }

  async function remove(endpoint: AttachedEndpoint, why: string): Promise<void> {
    const { id, sandbox, attachment } = endpoint;
    const network = state.networks.get(endpoint.network);
    if (endpoint.phase === 'attached') conflicts.left(endpoint);
    if (network?.adHoc !== undefined) {
      await dhcp.networkGoes(network.id);
      await lifecycle.removeNetwork(network.id);
    }
    if (network?.adHoc === undefined) await lifecycle.discard(id);
    await leases.endpointGone(endpoint);
    problems.delete(id);
    if (sandbox !== undefined && isNamespace(sandbox)) await restore(attachment, sandbox);
    tell('removed', endpoint, `${describe(endpoint)} was unplugged for good: ${why}`);
  }

  /** A route that cannot be put back leads where nothing is any more. */
  async function restore(attachment: Attachment, netns: string): Promise<void> {
    for (const make of formerRoutes(attachment, netns)) await kernel.execute([{ make }]).catch(() => undefined);
  }

  async function attach(request: AttachRequest, find: (wanted: string) => Network): Promise<AttachedEndpoint> {
    const container = await engine.container(request.container);
    if (container === undefined) {
      throw new BerthError('CONTAINER_UNKNOWN', `there is no container '${request.container.slice(0, 64)}'`);
    }
    return lifecycle.serialise(`attach ${container.id}`, async () => {
      const known = all().find(
        ({ attachment }) => attachment.container.id === container.id && attachment.request === request.canonical,
      );
      if (known !== undefined) {
        await lifecycle.serialise(known.id, () => converge(known.id));
        return state.endpoints.get(known.id) as AttachedEndpoint;
      }
      const sandbox = checkSandbox(container);
      const inside = await kernel.view(sandbox);
      const named = request.network === undefined ? undefined : find(request.network);
      const id = randomBytes(32).toString('hex') as EndpointId;
      return lifecycle.serialise(id, async () => {
        const network = await planNetwork(request, id, named, parts);
        try {
          if (network.adHoc !== undefined) await lifecycle.addNetwork(network);
          const endpoint = await planEndpoint(request, id, network, container, inside, parts);
          await lifecycle.addEndpoint(endpoint);
          await plug(endpoint as AttachedEndpoint, sandbox);
        } catch (error) {
          await undo(network, id);
          throw error;
        } finally {
          dhcp.settled(id);
        }
        return state.endpoints.get(id) as AttachedEndpoint;
      });
    });
  }

  /** What cannot be undone now, the next start undoes. */
  async function undo(network: Network, id: EndpointId): Promise<void> {
    const undone = network.adHoc === undefined ? lifecycle.discard(id) : lifecycle.removeNetwork(network.id);
    await undone.catch(() => undefined);
    await leases.endpointGone({ id }).catch(() => undefined);
  }

  /** Leases need not outlive a power failure, because an engine asks again; for attachments, nobody else does. */
  async function holdAgain({ id, mac, addresses, attachment, ...endpoint }: AttachedEndpoint): Promise<void> {
    const network = state.networks.get(endpoint.network);
    for (const { address } of addresses) {
      const subnet = network?.subnets.find(({ prefix }) => contains(prefix, address))?.prefix;
      if (network === undefined || subnet === undefined || leases.holder(network, subnet, address) === id) continue;
      const { name } = attachment.container;
      await leases.hold(network, subnet, id, { address, name, mac }).catch((error: unknown) => {
        problems.set(id, asBerthError(error).message);
      });
    }
  }

  return {
    all,
    attach,
    async networkGoes(network) {
      const gone = all()
        .filter((endpoint) => endpoint.network === network)
        .map(({ id }) =>
          lifecycle.serialise(id, async () => {
            const endpoint = state.endpoints.get(id);
            if (isAttached(endpoint)) await remove(endpoint, 'its network was removed');
          }),
        );
      if (gone.length === 0) return;
      // What is not done by then goes with the network's other endpoints.
      await within(PATIENCE_FOR_REMOVAL, Promise.allSettled(gone));
    },

    problem: (id) => problems.get(id),
    problems: () =>
      all().flatMap((endpoint) => {
        const problem = problems.get(endpoint.id);
        return problem === undefined ? [] : [`${describe(endpoint)} is not plugged in: ${problem}`];
      }),

    detach: (id) =>
      lifecycle.serialise(id, async () => {
        const endpoint = state.endpoints.get(id);
        if (isAttached(endpoint)) await remove(endpoint, 'it was detached');
      }),

    hear({ type, action, actor, attributes }) {
      if (type === 'engine') followAll();
      if (type !== 'container' || !TURNS.has(action)) return;
      for (const { id, attachment } of all()) {
        const { container, keep } = attachment;
        if (container.id === actor || (keep && container.name === attributes.name)) follow(id);
      }
    },

    async recover() {
      for (const endpoint of all()) {
        const { id, phase, sandbox } = endpoint;
        if (phase === 'attached' && (sandbox === undefined || !isNamespace(sandbox))) await lifecycle.unplug(id);
        await holdAgain(endpoint);
        // We may have been killed between the link and its address.
        const held = dhcp.leases().find((lease) => lease.endpoint === id);
        if (held?.lost === undefined && state.endpoints.get(id)?.phase === 'attached')
          await setLeased(id).catch(() => undefined);
      }
      for (const network of state.networks.values()) {
        if (network.adHoc !== undefined && state.endpointsOf(network.id).length === 0)
          await lifecycle.removeNetwork(network.id);
      }
    },

    start() {
      timer = setInterval(followAll, parts.interval);
      timer.unref();
    },
    stop: () => clearInterval(timer),
  };
}

function isAttached(endpoint: Endpoint | undefined): endpoint is AttachedEndpoint {
  return endpoint?.attachment !== undefined;
}
