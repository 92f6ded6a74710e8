/**
 * A real OpenStack in a bed: neutron-server and Keystone on a machine of their own, and between them and the product proxies
 * that count calls and let chosen ones fail.
 *
 *   product ── proxies (in the test's process) ──┐
 *   test ───────────────────────────── unix sockets of neutron-server and Keystone
 */

import type { TestContext } from 'node:test';
import { type Bed, openBed } from '../bed.ts';
import type { Lan } from '../lan.ts';
import type { Machine } from '../machine.ts';
import { type AgentOptions, type Agents, startAgents } from './agents.ts';
import { type Calls, callLog } from './calls.ts';
import { addFakeAgent, type FakeAgent, neutronSqlite, objectsIn, setPortStatus } from './database.ts';
import {
  type Identity,
  type Interface,
  interfaces,
  passwordToken,
  type Region,
  regions,
  type User,
  type UserName,
} from './identity.ts';
import { type KeystoneServer, startKeystone } from './keystone.ts';
import { listenIn } from './listen.ts';
import { neutronMariadb } from './mariadb.ts';
import { neutronRpcServer, neutronServer, setPolicy } from './neutron.ts';
import { openProxy, type ProxyOptions } from './proxy.ts';
import { startRabbitmq } from './rabbitmq.ts';
import { type Resource, type RestClient, restClient } from './rest.ts';
import { plugVm, type VmPort } from './vm.ts';
import type { WsgiService } from './wsgi.ts';

export interface OpenStackOptions {
  /** Ask for tokens (default). Without, Neutron takes every call for an administrator's (`auth_strategy = noauth`). */
  readonly keystone?: boolean;
  /**
   * Put it on a LAN of a bed, where the hosts of the bed reach it at this address (which must be free) and the endpoints of
   * the catalog are. Without, it has a bed of its own, and the endpoints are on 127.0.0.1 of the machine that runs the test.
   */
  readonly on?: { readonly bed: Bed; readonly lan: Lan; readonly address: string };
  /**
   * `fake` (default): agents are rows in Neutron's table, and SQLite is the database; starts in seconds. `real`: agents are to be
   * started with `startAgents`; neutron-server runs with MariaDB and RabbitMQ.
   */
  readonly agents?: 'fake' | 'real';
  /** With fake agents: hosts that have one, as far as Neutron knows: ports bind to them, but nobody wires these. Default `h1` and `h2`. */
  readonly hosts?: readonly string[] | Readonly<Record<string, FakeAgent>>;
  /** Rules of Neutron's policy that differ from the defaults. */
  readonly policy?: Readonly<Record<string, string>>;
  /** Seconds that a token is valid; default 3600. */
  readonly tokenLifetime?: number;
  /** Neutron refuses a token that was revoked at once, for which it asks Keystone at each call: half a second more each time. */
  readonly revocation?: boolean;
  /** The endpoints speak TLS with this certificate; with `ca` they ask clients for one of that authority. */
  readonly tls?: NonNullable<ProxyOptions['tls']>;
}

export interface OpenStack extends AsyncDisposable {
  readonly bed: Bed;
  /** What it is on. */
  readonly lan: Lan;
  /** Where the services run; their logs are in `machine.dir/log`. */
  readonly machine: Machine;
  /** Keystone as the product finds it: `http://…/v3`. */
  readonly authUrl: string;
  /** Neutron as the product finds it, by one of its endpoints; default the public one of RegionOne. */
  networkUrl(region?: Region, kind?: Interface): string;
  /** The calls of the product, and what is to befall them. */
  readonly calls: Calls;
  /** Ends the connections that the product has open, also those it would use again. */
  cutConnections(): void;

  /** Neutron, straight, as an administrator. */
  readonly neutron: RestClient;
  /** Neutron, straight, as another user. */
  as(user: UserName): RestClient;
  /** Keystone, straight, as its administrator. @throws without Keystone. */
  readonly keystone: RestClient;
  /** Users, projects and application credentials. @throws without Keystone. */
  readonly identity: Identity;
  /** A token of a user, as the product would get it. */
  token(user: UserName): Promise<string>;

  /** The processes, to be killed, stopped, frozen, and started again. Meanwhile the proxies answer 503 as HAProxy would. */
  readonly neutronServer: WsgiService;
  readonly keystoneServer: WsgiService;
  /** Replaces the rules of Neutron's policy that differ from the defaults; from the next call on. */
  setPolicy(rules: Readonly<Record<string, string>>): void;
  /** Starts Neutron's Linux bridge agent on a host that can reach this OpenStack, and others. @throws unless agents are `real`. */
  startAgents(host: Machine, options: AgentOptions): Promise<Agents>;
  /** A port that stands for a virtual machine, on a host with agents. @param attributes of the port. */
  plugVm(host: Machine, network: Pick<Resource, 'id'>, attributes?: Readonly<Record<string, unknown>>): Promise<VmPort>;
  /** An agent that is only in Neutron's books, or a change of it. */
  addFakeAgent(host: string, agent?: FakeAgent): void;
  /** What is in Neutron's database, without asking it; with fake agents. */
  objects(): ReturnType<typeof objectsIn>;
  /** What a real agent would report of a port. */
  setPortStatus(port: string, status: 'ACTIVE' | 'DOWN' | 'BUILD'): void;
  watch(test: Pick<TestContext, 'after' | 'diagnostic'>): void;
}

/** Starts it, up and answering. Close it with `await using`; what is put on another bed's LAN, before that bed. */
export async function startOpenStack(options: OpenStackOptions = {}): Promise<OpenStack> {
  if (options.on !== undefined) return assemble(options, options.on);
  const bed = await openBed('openstack');
  try {
    const lan = await bed.lan({ name: 'management', subnet: '10.9.65.0/24', gateway: '10.9.65.1' });
    return await assemble(options, { bed, lan, address: '10.9.65.11' });
  } catch (error) {
    await bed[Symbol.asyncDispose]();
    throw error;
  }
}

async function assemble(options: OpenStackOptions, on: NonNullable<OpenStackOptions['on']>): Promise<OpenStack> {
  const { bed, lan, address } = on;
  const { keystone: asksForTokens = true, hosts = ['h1', 'h2'] } = options;
  const machine = await lan.machine('openstack', `${address}/24`);
  const calls = callLog();
  const tls = options.tls === undefined ? {} : { tls: options.tls };
  let keystoneServer: KeystoneServer | undefined;
  let neutron: WsgiService | undefined;
  const behind = (server: () => WsgiService | undefined) => () => {
    if (!machine.isOn()) return '/nonexistent';
    return server()?.socket() ?? '/nonexistent';
  };
  const proxies = {
    neutron: openProxy({ service: 'neutron', calls, ...tls, upstream: behind(() => neutron) }),
    keystone: openProxy({ service: 'keystone', calls, ...tls, upstream: behind(() => keystoneServer) }),
  };
  const close = async () => {
    for (const proxy of Object.values(proxies)) proxy.close();
    await (options.on === undefined ? bed[Symbol.asyncDispose]() : machine.powerOff());
  };

  try {
    const urls = new Map<string, string>();
    const doors = [
      ...regions.flatMap((region) =>
        interfaces.map((kind) => ({ endpoint: `${region}/${kind}`, proxy: proxies.neutron })),
      ),
      { endpoint: 'auth', proxy: proxies.keystone },
    ];
    const scheme = options.tls === undefined ? 'http' : 'https';
    const ports = doors.map(({ endpoint }, index) => (endpoint === 'auth' ? 5000 : 9696 + index));
    const listeners = options.on === undefined ? undefined : await listenIn(machine, address, ports);
    for (const [index, { endpoint, proxy }] of doors.entries()) {
      if (listeners === undefined) urls.set(endpoint, `${scheme}://127.0.0.1:${await proxy.listen(endpoint)}`);
      else {
        proxy.serve(listeners[index]!, endpoint);
        urls.set(endpoint, `${scheme}://${address}:${ports[index]}`);
      }
    }
    const authUrl = `${urls.get('auth')!}/v3`;
    const networkUrl = (region: Region = 'RegionOne', kind: Interface = 'public') => urls.get(`${region}/${kind}`)!;

    const real = options.agents === 'real';
    const [database, bus] = real
      ? await Promise.all([neutronMariadb(machine), startRabbitmq(machine, address)])
      : [await neutronSqlite(machine), undefined];
    neutron = neutronServer(machine, {
      keystone: asksForTokens,
      database,
      bus: bus?.url ?? 'fake://',
      processes: real ? 2 : 1,
      asksEachTime: options.revocation ?? false,
      ...(options.policy ? { policy: options.policy } : {}),
    });
    const fakes = Array.isArray(hosts) ? hosts.map((host: string) => [host, {}] as const) : Object.entries(hosts);
    const mustBe = (kind: 'real' | 'fake') => {
      if (real !== (kind === 'real')) throw new Error(`The agents of this OpenStack are not ${kind}`);
    };
    for (const [host, agent] of real ? [] : fakes) addFakeAgent(machine, host, agent as FakeAgent);
    const { tokenLifetime } = options;
    const lifetime = tokenLifetime === undefined ? {} : { tokenLifetime };
    [keystoneServer] = await Promise.all([
      asksForTokens ? startKeystone(machine, { url: authUrl, networkUrl, ...lifetime }) : undefined,
      neutron.start(),
      real ? neutronRpcServer(machine).start() : undefined,
    ]);

    const server = (): KeystoneServer => {
      if (keystoneServer === undefined) throw new Error('This OpenStack is without Keystone');
      return keystoneServer;
    };
    const tokens = tokenPurse(() => server().socket(), (tokenLifetime ?? 3600) / 2);
    const tokenOf = async (user: UserName) => (asksForTokens ? tokens(server().identity.users[user]) : undefined);
    const neutronAs = (user: UserName) => restClient(neutron!.socket, '/v2.0', () => tokenOf(user));
    const stack: OpenStack = {
      bed,
      lan,
      machine,
      authUrl,
      networkUrl,
      calls,
      cutConnections: () => {
        for (const proxy of Object.values(proxies)) proxy.cutConnections();
      },
      neutron: neutronAs('admin'),
      as: neutronAs,
      get keystone() {
        return restClient(server().socket, '/v3', () => tokenOf('admin'));
      },
      get identity() {
        return server().identity;
      },
      token: (user) => passwordToken(server().socket(), server().identity.users[user]),
      neutronServer: neutron,
      get keystoneServer() {
        return server();
      },
      setPolicy: (rules) => setPolicy(machine, rules),
      startAgents: async (host, agents) => {
        mustBe('real');
        return startAgents(host, bus!.url, stack.neutron, agents);
      },
      plugVm: (host, network, attributes) => plugVm(host, stack.neutron, network, attributes),
      addFakeAgent: (host, agent) => {
        mustBe('fake');
        addFakeAgent(machine, host, agent);
      },
      objects: () => {
        mustBe('fake');
        return objectsIn(machine);
      },
      setPortStatus: (port, status) => {
        mustBe('fake');
        setPortStatus(machine, port, status);
      },
      watch: (test) => bed.watch(test),
      [Symbol.asyncDispose]: close,
    };
    return stack;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Tokens of users, each used for a while. */
function tokenPurse(socket: () => string, lifetime: number): (user: User) => Promise<string> {
  const held = new Map<string, { readonly token: Promise<string>; readonly until: number }>();
  return (user) => {
    const known = held.get(user.id);
    if (known && known.until > performance.now()) return known.token;
    const token = passwordToken(socket(), user);
    held.set(user.id, { token, until: performance.now() + lifetime * 1000 });
    token.catch(() => held.delete(user.id));
    return token;
  };
}
