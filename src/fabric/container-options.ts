/**
 * What can be said of a container's interface, whatever it is plugged into: routes and rules, limits, sysctls, its name, MAC and
 * MTU. On a network (`-o`) for all its containers, on an endpoint (`--driver-opt`) for one.
 */

import * as z from 'zod';
import { formatAddress, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { type Mac, macFromText, parseMac } from '../model/mac.ts';
import type { Endpoint, Json, Network } from '../model/network.ts';
import { formatPrefix, parsePrefix } from '../model/prefix.ts';
import type { OptionSpec } from './fabric.ts';
import { GREATEST_MTU, LEAST_MTU } from './mtu.ts';
import { booleanOption, integerOption, linkOption, type OptionValues, printable, readOptions } from './options.ts';
import { rateOption, sizeOption } from './rates.ts';

const shared: readonly OptionSpec[] = [
  {
    name: 'route',
    values: 'PREFIX [via ADDRESS] [table NUMBER], …',
    default: 'none',
    help: 'More routes in the container. PREFIX may be default.',
  },
  {
    name: 'rule',
    values: '[from PREFIX] [to PREFIX] [fwmark NUMBER] [priority NUMBER] table NUMBER, …',
    default: 'none',
    help: 'Policy routing rules in the container, for the tables that routes name.',
  },
  {
    name: 'default_route',
    values: 'true, false',
    default: 'true',
    help: 'With false the container gets no default route here, and no gateway bridge of the engine either.',
  },
  {
    name: 'rate_in',
    values: 'a rate, such as 100mbit or 12.5mbps',
    default: 'none',
    help: 'The most that the container receives: bits per second, with the units of tc.',
  },
  {
    name: 'rate_out',
    values: 'a rate, such as 100mbit or 12.5mbps',
    default: 'none',
    help: 'The most that the container sends.',
  },
  {
    name: 'burst',
    values: '1600 bytes to 64mb',
    default: '10 ms of the rate, at least 32kb',
    help: 'With a rate: how much may pass at once.',
  },
  {
    name: 'sysctl',
    aliases: ['com.docker.network.endpoint.sysctls'],
    values: 'net.FAMILY.conf.IFNAME.NAME=VALUE, …',
    default: 'none',
    help: 'Settings of the interface in the container. IFNAME stands for its name.',
  },
];

const interfaceName: OptionSpec = {
  name: 'interface_name',
  aliases: ['com.docker.network.endpoint.ifname'],
  values: 'name of an interface',
  default: 'interface_prefix and a number',
  help: 'What the interface is called in the container.',
};

/** For all containers of a network. */
export const networkContainerOptions: readonly OptionSpec[] = shared;

/** For one container. */
export const containerOptions: readonly OptionSpec[] = [
  ...shared,
  interfaceName,
  {
    name: 'mac',
    values: 'a MAC address, or U:TEXT',
    default: 'from the address',
    help: 'MAC address of the interface, unless --mac-address names one. U:TEXT makes one of a text, always the same.',
  },
  {
    name: 'mtu',
    aliases: ['com.docker.network.driver.mtu'],
    values: '1280 to 65535',
    default: "the network's",
    help: 'MTU of the interface.',
  },
];

const ContainerSettings = z.object({
  routes: z
    .array(z.object({ destination: z.string(), via: z.string().optional(), table: z.number().optional() }))
    .default([]),
  rules: z
    .array(
      z.object({
        family: z.literal([4, 6]),
        from: z.string().optional(),
        to: z.string().optional(),
        mark: z.number().optional(),
        priority: z.number().optional(),
        table: z.number(),
      }),
    )
    .default([]),
  defaultRoute: z.boolean().default(true),
  /** Bits per second. */
  rateIn: z.number().optional(),
  rateOut: z.number().optional(),
  /** Bytes. */
  burst: z.number().optional(),
  /** Paths under /proc/sys with IFNAME in them. */
  sysctls: z.array(z.object({ path: z.string(), value: z.string() })).default([]),
  interfaceName: z.string().optional(),
  mac: z.string().optional(),
  mtu: z.number().optional(),
});
export type ContainerSettings = z.infer<typeof ContainerSettings>;

/** An endpoint is asked for its settings many times, and an audit asks all of them. */
const known = new WeakMap<object, ContainerSettings>();

/** Of an endpoint, as `planContainer` made them. */
export function containerSettings({ settings }: Pick<Endpoint, 'settings'>): ContainerSettings {
  const kept = settings as object | null;
  if (kept === null) return ContainerSettings.parse({});
  let parsed = known.get(kept);
  if (parsed === undefined) {
    parsed = ContainerSettings.parse(kept);
    known.set(kept, parsed);
  }
  return parsed;
}

/** The MAC that the user chose by option. */
export function chosenMac(endpoint: Pick<Endpoint, 'settings'>): Mac | undefined {
  return containerSettings(endpoint).mac as Mac | undefined;
}

/**
 * The settings of a container's interface: its own options, and for what these leave open the network's.
 *
 * @throws BerthError BAD_OPTION
 */
export function planContainer(network: Pick<Network, 'options'>, given: Readonly<Record<string, string>>): Json {
  const own = readOptions(given, containerOptions);
  const names = new Set(networkContainerOptions.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]));
  const ofNetwork = Object.fromEntries(Object.entries(network.options).filter(([name]) => names.has(name)));
  return readContainer(new Map([...readOptions(ofNetwork, networkContainerOptions), ...own]));
}

/**
 * Checks the options of a network that are about its containers.
 *
 * @throws BerthError BAD_OPTION
 */
export function checkContainerOptions(options: OptionValues): void {
  readContainer(options);
}

/**
 * What the engine is told to begin an interface's name with, so that the name that it makes of it is the chosen one as often as
 * not: it appends a number.
 */
export function interfacePrefix(endpoint: Pick<Endpoint, 'settings'>, usual: string): string {
  const beginning = containerSettings(endpoint).interfaceName?.replace(/[0-9]+$/, '') ?? '';
  // With a number behind it, it must still be a name.
  return beginning === '' || beginning.length > 12 ? usual : beginning;
}

function readContainer(options: OptionValues): ContainerSettings {
  const rateIn = rateOption(options, 'rate_in');
  const rateOut = rateOption(options, 'rate_out');
  const burst = sizeOption(options, 'burst', 1600, 64 * 2 ** 20);
  if (burst !== undefined && rateIn === undefined && rateOut === undefined) {
    throw new BerthError('BAD_OPTION', "the option 'burst' goes with 'rate_in' or 'rate_out'");
  }
  const mtu = integerOption(options, 'mtu', LEAST_MTU, GREATEST_MTU);
  const interfaceName = linkOption(options, 'interface_name');
  const mac = readMac(options.get('mac'));
  return {
    routes: listed(options, 'route').map(readRoute),
    rules: listed(options, 'rule').flatMap(readRule),
    defaultRoute: booleanOption(options, 'default_route', true),
    ...(rateIn === undefined ? {} : { rateIn }),
    ...(rateOut === undefined ? {} : { rateOut }),
    ...(burst === undefined ? {} : { burst }),
    sysctls: listed(options, 'sysctl').map(readSysctl),
    ...(interfaceName === undefined ? {} : { interfaceName }),
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

function listed(options: OptionValues, name: string): string[] {
  return (options.get(name) ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function refused(name: string, given: string, example: string): BerthError {
  return new BerthError('BAD_OPTION', `the option '${name}' is such as '${example}', not '${printable(given)}'`);
}

/** The words of a text as pairs; undefined when they are not, when one is not known, or twice. */
function pairsOf(words: readonly string[], known: readonly string[]): Map<string, string> | undefined {
  const pairs = new Map<string, string>();
  for (let at = 0; at < words.length; at += 2) {
    const [key, value] = words.slice(at, at + 2);
    if (key === undefined || value === undefined || !known.includes(key) || pairs.has(key)) return undefined;
    pairs.set(key, value);
  }
  return pairs;
}

/** Undefined when it is absent; NaN when it is not a number of 32 bits. */
function numberIn(pairs: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = pairs.get(key);
  if (text === undefined) return undefined;
  const number = /^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})$/.test(text) ? Number(text) : Number.NaN;
  return number <= 0xffffffff ? number : Number.NaN;
}

function readRoute(text: string): ContainerSettings['routes'][number] {
  const wrong = refused('route', text, '10.0.0.0/8 via 192.168.1.2');
  const [to = '', ...words] = text.split(/\s+/);
  const pairs = pairsOf(words, ['via', 'table']);
  const via = pairs?.get('via');
  const hop = via === undefined ? undefined : parseAddress(via);
  const table = pairs === undefined ? undefined : numberIn(pairs, 'table');
  const everywhere = hop?.family === 6 ? '::/0' : '0.0.0.0/0';
  const destination = parsePrefix(to === 'default' ? everywhere : to) ?? hostPrefix(to);
  if (pairs === undefined || destination === undefined || (via !== undefined && hop === undefined)) throw wrong;
  if (hop !== undefined && hop.family !== destination.address.family) throw wrong;
  if (Number.isNaN(table) || table === 0) throw wrong;
  return {
    destination: formatPrefix(destination),
    ...(hop === undefined ? {} : { via: formatAddress(hop) }),
    ...(table === undefined ? {} : { table }),
  };
}

function hostPrefix(text: string): ReturnType<typeof parsePrefix> {
  const address = parseAddress(text);
  return address === undefined ? undefined : { address, length: address.family === 4 ? 32 : 128 };
}

function readRule(text: string): ContainerSettings['rules'] {
  const wrong = refused('rule', text, 'from 192.168.1.5 table 100');
  const pairs = pairsOf(text.split(/\s+/), ['from', 'to', 'fwmark', 'priority', 'table']);
  if (pairs === undefined) throw wrong;
  const prefix = (key: string) => {
    const given = pairs.get(key);
    if (given === undefined) return undefined;
    const parsed = parsePrefix(given) ?? hostPrefix(given);
    if (parsed === undefined) throw wrong;
    return parsed;
  };
  const from = prefix('from');
  const to = prefix('to');
  const [mark, priority, table] = ['fwmark', 'priority', 'table'].map((key) => numberIn(pairs, key));
  if ([mark, priority, table].some(Number.isNaN) || table === undefined || table === 0) throw wrong;
  if (from !== undefined && to !== undefined && from.address.family !== to.address.family) throw wrong;
  const family = from?.address.family ?? to?.address.family;
  const rule = {
    ...(from === undefined ? {} : { from: formatPrefix(from) }),
    ...(to === undefined ? {} : { to: formatPrefix(to) }),
    ...(mark === undefined ? {} : { mark }),
    ...(priority === undefined ? {} : { priority }),
    table,
  };
  // What names no address is for both families.
  return (family === undefined ? ([4, 6] as const) : [family]).map((one) => ({ family: one, ...rule }));
}

/**
 * `docker run --network name=…,driver-opt=…` makes it lower case (docker/cli `opts/network.go`).
 *
 * Only of the interface: the rest of the container's sysctls is `--sysctl` of the engine.
 */
function readSysctl(text: string): ContainerSettings['sysctls'][number] {
  const match = /^(net\.(?:ipv4|ipv6|mpls)\.(?:conf|neigh)\.IFNAME\.[a-z0-9_]+)=([^\s=]{1,64})$/.exec(
    text.replace('.ifname.', '.IFNAME.'),
  );
  if (match === null) throw refused('sysctl', text, 'net.ipv4.conf.IFNAME.rp_filter=2');
  return { path: match[1]!.replaceAll('.', '/'), value: match[2]! };
}

function readMac(text: string | undefined): Mac | undefined {
  if (text === undefined) return undefined;
  const mac = text.startsWith('U:') ? macFromText(text.slice(2)) : parseMac(text);
  if (mac === undefined) throw refused('mac', text, '0a:00:00:00:00:05');
  return mac;
}
