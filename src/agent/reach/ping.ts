/** `berth ping`: how one is reached from the other. Each host looks at its own part; the hosts ask each other by jobs. */

import * as z from 'zod';
import { fabricOf } from '../../fabric/fabrics.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { KernelObject } from '../../kernel/objects.ts';
import type { EchoAnswer, EchoRequest, ReachAnswer, ReachRequest } from '../../kernel/reach/reach.ts';
import { parseAddress } from '../../model/address.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import type { EchoView, HopView, PartyView, PingView, ReachTargetView, ReachView } from '../api.ts';
import type { Auditor } from '../auditor.ts';
import type { Jobs } from '../cluster/jobs.ts';
import type { HostFacts } from '../host.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';
import { type Beyond, halfPath, linkOf, underlayLink } from './half-path.ts';
import { nameAnswer, nameQuestion } from './name-question.ts';
import { problemsOf } from './verdict.ts';

export interface PingParts {
  readonly host: string;
  /** Of this host, as the cluster knows it. */
  vtep(): string | undefined;
  readonly state: State;
  readonly names: Names;
  readonly lifecycle: Pick<Lifecycle, 'objectsOf' | 'objectsOfEndpoint' | 'context'>;
  readonly kernel: Pick<Kernel, 'view'>;
  readonly hostFacts: Pick<HostFacts, 'refresh'>;
  readonly auditor: Pick<Auditor, 'audit'>;
  reach(request: ReachRequest): Promise<ReachAnswer>;
  /** Absent: this host is alone. */
  readonly jobs: Pick<Jobs, 'ask'> | undefined;
}

export interface Ping {
  ping(from: PartyView, to: PartyView): Promise<PingView>;
  /** How others are reached from a container, wherever it is. */
  reachFrom(from: PartyView, targets: readonly PartyView[]): Promise<ReachView>;
  /** What another agent asks. @throws BerthError */
  perform(request: unknown): Promise<unknown>;
}

const BeyondFields = z.object({ mac: z.string().optional(), vtep: z.string().optional() });
const Target = z.object({ endpoint: z.string(), name: z.string(), addresses: z.array(z.string()) });
const Job = z.discriminatedUnion('do', [
  z.object({ do: z.literal('path'), endpoint: z.string(), beyond: BeyondFields.optional() }),
  z.object({
    do: z.literal('ping'),
    endpoint: z.string().optional(),
    addresses: z.array(z.string()),
    beyond: BeyondFields.optional(),
  }),
  z.object({ do: z.literal('reach'), endpoint: z.string(), targets: z.array(Target).max(1000) }),
]);
type Job = z.infer<typeof Job>;

/** What the host of the first finds. */
interface Sent {
  readonly echoes: readonly EchoView[];
  readonly hops: readonly HopView[];
  readonly wire?: EchoView | undefined;
}

/** Milliseconds that another agent gets. */
const PATIENCE = { path: 8_000, ping: 40_000, reach: 60_000 } as const;
/** Of one echo, milliseconds: longer than the kernel asks for a neighbour before it gives up (three times, a second each). */
const ECHO = { count: 5, interval: 100, patience: 3_200 } as const;
const QUICK = { count: 2, interval: 40, patience: 1_000 } as const;
/** Where Docker's own resolver listens in every container on a network of a user. */
const RESOLVER = parseAddress('127.0.0.11')!;

export function createPing(parts: PingParts): Ping {
  const { host, state, names, lifecycle, kernel } = parts;

  function endpointOf(id: string): Endpoint {
    const endpoint = state.endpoints.get(id as EndpointId);
    if (endpoint !== undefined) return endpoint;
    throw new BerthError('ENDPOINT_UNKNOWN', `the host ${host} has no endpoint ${id.slice(0, 12)} any more`);
  }

  /** What this host declares of the containers of its network on other hosts. */
  function waysToOthers(network: Network): KernelObject[] {
    const ways = fabricOf(network.fabric).desiredRemotes?.(network, lifecycle.context());
    return [...(ways?.values() ?? [])].flatMap((way) => way.objects());
  }

  async function path(id: string, beyond: Beyond | undefined): Promise<readonly HopView[]> {
    const endpoint = endpointOf(id);
    const network = state.networks.get(endpoint.network);
    const [view, drifts] = await Promise.all([parts.hostFacts.refresh(), parts.auditor.audit(false).catch(() => [])]);
    const objects = [
      ...lifecycle.objectsOfEndpoint(endpoint),
      ...(network === undefined ? [] : [...lifecycle.objectsOf(network), ...waysToOthers(network)]),
    ];
    const container = names.container(endpoint.id) ?? `the container of ${endpoint.id.slice(0, 12)}`;
    return halfPath({ host, kernel, view, endpoint, network, objects, drifts, container }, beyond);
  }

  async function interfaceMtu(endpoint: Endpoint): Promise<number | undefined> {
    if (endpoint.sandbox === undefined) return undefined;
    return linkOf(await kernel.view(endpoint.sandbox as Parameters<Kernel['view']>[0]), endpoint)?.mtu;
  }

  async function send({ endpoint: id, addresses, beyond }: Extract<Job, { do: 'ping' }>): Promise<Sent> {
    const underlay = underlayLink(await parts.hostFacts.refresh(), parts.vtep())?.mtu ?? 1500;
    const endpoint = id === undefined ? undefined : endpointOf(id);
    const hops = id === undefined ? [] : await path(id, beyond);
    const running = endpoint === undefined || hops[0]?.problem === undefined;
    const largest =
      (endpoint === undefined ? underlay : await interfaceMtu(endpoint).catch(() => undefined)) ?? underlay;
    const asked = running ? addresses.flatMap((text) => request(text, largest, ECHO) ?? []) : [];
    const toHost = endpoint === undefined ? undefined : beyond?.vtep;
    const between = toHost === undefined ? undefined : request(toHost, underlay, { ...ECHO, count: 3 });
    const [answers, wire] = await Promise.all([
      asked.length === 0 ? [] : parts.reach({ ...placeOf(endpoint), echoes: asked }).then(({ echoes }) => echoes),
      between === undefined ? undefined : parts.reach({ echoes: [between] }).then(({ echoes }) => echoes[0]),
    ]);
    return {
      echoes: asked.map((one, index) => echoView(addresses[index]!, one, answers[index]!)),
      hops,
      ...(wire === undefined ? {} : { wire: echoView(toHost!, between!, wire) }),
    };
  }

  async function reachHere({ endpoint: id, targets }: Extract<Job, { do: 'reach' }>): Promise<ReachView> {
    const endpoint = endpointOf(id);
    const largest = await interfaceMtu(endpoint);
    if (largest === undefined)
      throw new BerthError('CONTAINER_STOPPED', `the container of ${id.slice(0, 12)} on ${host} does not run`);
    const echoes = targets.flatMap(({ addresses }) =>
      addresses.flatMap((text) => {
        const one = request(text, largest, QUICK);
        return one === undefined ? [] : [{ text, one }];
      }),
    );
    const questions = targets.flatMap(({ name, addresses }) => nameQuestion(name, addresses) ?? []);
    const answer = await parts.reach({
      ...placeOf(endpoint),
      echoes: echoes.map(({ one }) => one),
      questions: questions.map(({ payload }) => ({ server: RESOLVER, port: 53, payload, patience: 3_000 })),
    });
    const views = new Map(echoes.map(({ text, one }, index) => [text, echoView(text, one, answer.echoes[index]!)]));
    const named = new Map(questions.map(({ name }, index) => [name, answer.questions[index]!]));
    return {
      targets: targets.map((target): ReachTargetView => {
        const found = named.get(target.name);
        const v4 = target.addresses.find((text) => !text.includes(':'));
        const v6 = target.addresses.find((text) => text.includes(':'));
        return {
          endpoint: target.endpoint,
          ...(v4 === undefined ? {} : { v4: views.get(v4)! }),
          ...(v6 === undefined ? {} : { v6: views.get(v6)! }),
          ...(found === undefined ? {} : { name: nameAnswer(found, target.addresses) }),
        };
      }),
    };
  }

  async function perform(request: unknown): Promise<unknown> {
    const parsed = Job.safeParse(request);
    if (!parsed.success)
      throw new BerthError(
        'BAD_REQUEST',
        `the host ${host} does not understand what it is asked: its agent is older or newer`,
      );
    const job = parsed.data;
    if (job.do === 'path') return path(job.endpoint, job.beyond);
    return job.do === 'ping' ? send(job) : reachHere(job);
  }

  /** What comes from another agent is of the same program; versions that differ have told so. */
  async function on<Answer>(whom: string, job: Job): Promise<Answer> {
    if (whom === host) return (await perform(job)) as Answer;
    if (parts.jobs === undefined) throw new BerthError('HOST_UNKNOWN', `there is no host '${whom.slice(0, 64)}'`);
    return (await parts.jobs.ask(whom, job, PATIENCE[job.do])) as Answer;
  }

  return {
    perform,

    async ping(from, to) {
      const [there, back] = [beyondOf(from, to), beyondOf(to, from)];
      const addresses = to.addresses;
      const [sent, far] = await Promise.all([
        on<Sent>(from.host, {
          do: 'ping',
          ...(from.endpoint === undefined ? {} : { endpoint: from.endpoint }),
          addresses: [...addresses],
          ...(there === undefined ? {} : { beyond: there }),
        }),
        to.endpoint === undefined
          ? [hostHop(to)]
          : on<readonly HopView[]>(to.host, {
              do: 'path',
              endpoint: to.endpoint,
              ...(back === undefined ? {} : { beyond: back }),
            }).catch((error: unknown): HopView[] => [
              {
                host: to.host,
                kind: 'host',
                name: to.host,
                problem: `cannot be looked at: ${asBerthError(error).message}`,
              },
            ]),
      ]);
      const near = from.endpoint === undefined ? [hostHop(from)] : sent.hops;
      const hops = joined(near, far, from, to, sent.wire);
      const problems = problemsOf({ from, to, echoes: sent.echoes, path: hops, wire: sent.wire });
      return { from, to, echoes: sent.echoes, path: hops, problems };
    },

    async reachFrom(from, targets) {
      if (from.endpoint === undefined) throw new BerthError('BAD_REQUEST', 'a network is tried from its containers');
      const asked = targets.flatMap(({ endpoint, name, addresses }) =>
        endpoint === undefined ? [] : [{ endpoint, name, addresses: [...addresses] }],
      );
      return on<ReachView>(from.host, { do: 'reach', endpoint: from.endpoint, targets: asked });
    },
  };
}

function request(
  text: string,
  largest: number,
  how: { readonly count: number; readonly interval: number; readonly patience: number },
): EchoRequest | undefined {
  const target = parseAddress(text);
  return target === undefined ? undefined : { target, ...how, largest };
}

const placeOf = (endpoint: Endpoint | undefined): Pick<ReachRequest, 'netns'> =>
  endpoint?.sandbox === undefined ? {} : { netns: endpoint.sandbox as NonNullable<ReachRequest['netns']> };

function echoView(address: string, { largest }: EchoRequest, { sent, times, mtu, obstacles }: EchoAnswer): EchoView {
  const sorted = times.toSorted((a, b) => a - b);
  const rounded = (index: number): number => Math.round(sorted[index]! * 1000) / 1000;
  return {
    address,
    sent,
    received: times.length,
    ...(times.length === 0
      ? {}
      : {
          rtt: {
            least: rounded(0),
            median: rounded(Math.floor((sorted.length - 1) / 2)),
            most: rounded(sorted.length - 1),
          },
        }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(largest === undefined ? {} : { interfaceMtu: largest }),
    obstacles,
  };
}

/** Where a path leads out of its host to; undefined when it stays there. */
function beyondOf(from: PartyView, to: PartyView): Beyond | undefined {
  if (from.host === to.host) return undefined;
  return {
    // A network of another is reached by a router, whose MAC it is then.
    ...(to.mac === undefined || from.network !== to.network ? {} : { mac: to.mac }),
    ...(to.vtep === undefined ? {} : { vtep: to.vtep }),
  };
}

const hostHop = ({ host, vtep }: PartyView): HopView => ({
  host,
  kind: 'host',
  name: host,
  ...(vtep === undefined ? {} : { detail: vtep }),
});

/** Both halves and what is between them. */
function joined(
  near: readonly HopView[],
  far: readonly HopView[],
  from: PartyView,
  to: PartyView,
  wire: EchoView | undefined,
): readonly HopView[] {
  if (from.host === to.host) {
    const shared = new Set(near.map(({ kind, name }) => `${kind} ${name}`));
    return [...near, ...far.toReversed().filter(({ kind, name }) => !shared.has(`${kind} ${name}`))];
  }
  const rtt = wire?.rtt === undefined ? undefined : `round trip ${wire.rtt.median} ms`;
  const between: HopView = {
    host: `${from.host} – ${to.host}`,
    kind: 'wire',
    name: `${from.vtep ?? from.host} → ${to.vtep ?? to.host}`,
    ...(wire?.mtu === undefined ? {} : { mtu: wire.mtu }),
    detail: rtt ?? (wire === undefined ? 'not measured' : 'no echo comes back'),
  };
  return [...near, between, ...far.toReversed()];
}
