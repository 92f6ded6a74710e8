/** The cluster's objects and endpoints as the store holds them: JSON with a version. */

import * as z from 'zod';
import { keys, SCHEMA_VERSION } from '../model/keys.ts';
import type { Config, FieldValue } from '../model/objects/field.ts';
import type { ClusterObject, KindName } from '../model/objects/kind.ts';
import { kindOf, kinds } from '../model/objects/kinds.ts';
import { configView } from '../model/objects/view.ts';
import { decodeRecord } from '../store/record.ts';
import type { Entry } from '../store/store.ts';

const ObjectRecord = z.object({
  version: z.number(),
  config: z.record(z.string(), z.union([z.string(), z.number(), z.array(z.string())])),
  allocated: z.object({ id: z.number().optional(), tag: z.number().optional(), vip: z.string().optional() }),
  createdAt: z.number(),
});

const EndpointRecord = z.object({
  id: z.string(),
  /** `TENANT:NETWORK` */
  network: z.string(),
  /** `TENANT:GROUP` */
  group: z.string().optional(),
  host: z.string(),
  /** The IPv4 address first. */
  addresses: z.array(z.string()),
  mac: z.string(),
  containerId: z.string().optional(),
  containerName: z.string().optional(),
  /** What it is called besides, on this network (`--network-alias`). */
  aliases: z.array(z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  /** What it is called on its host. */
  interface: z.string().optional(),
  /** Where its host takes packets for it from others. */
  vtep: z.string().optional(),
});

/** A container on a network of the cluster, or a host that is in it itself, as that host's agent tells the others. */
export type ClusterEndpoint = Readonly<z.infer<typeof EndpointRecord>>;

/** The id under which a host itself is on a network (`TENANT:NETWORK`). No container's has such a character. */
export const hostEndpoint = (host: string, network: string): string => `${host}@${network}`;

export const isHostEndpoint = ({ id }: Pick<ClusterEndpoint, 'id'>): boolean => id.includes('@');

/** By whom an address is leased that a host itself has; engines have ids of their own. */
export const hostHolder = (host: string): string => `host/${host}`;

/** The kind and key that a key of the store stands for; undefined when it is no object. */
export function parseObjectKey(key: string): { readonly kind: KindName; readonly key: string } | undefined {
  const rest = key.slice(keys.objects.length);
  const slash = rest.indexOf('/');
  const kind = rest.slice(0, slash) as KindName;
  return slash > 0 && kinds.has(kind) ? { kind, key: rest.slice(slash + 1) } : undefined;
}

export function encodeObject(object: Omit<ClusterObject, 'revision'>): string {
  const { allocated, createdAt } = object;
  return JSON.stringify({ version: SCHEMA_VERSION, config: configView(object), allocated, createdAt });
}

/**
 * @returns undefined for a key that is no object's.
 * @throws BerthError STORE_NEWER, STORE_CORRUPT naming the key.
 */
export function decodeObject({ key, value, modRevision }: Entry): ClusterObject | undefined {
  const name = parseObjectKey(key);
  if (name === undefined) return undefined;
  const { config, allocated, createdAt } = decodeRecord(ObjectRecord, key, value);
  const { id, tag, vip } = allocated;
  return {
    ...name,
    config: complete(name.kind, config),
    allocated: {
      ...(id === undefined ? {} : { id }),
      ...(tag === undefined ? {} : { tag }),
      ...(vip === undefined ? {} : { vip }),
    },
    createdAt,
    revision: modRevision,
  };
}

/** With the fields that are not stored because they are empty. */
function complete(kind: KindName, config: Readonly<Record<string, FieldValue>>): Config {
  const zero = { text: '', integer: 0, texts: [] } as const;
  return Object.fromEntries(
    Object.entries(kindOf(kind).fields).map(([name, field]) => [name, config[name] ?? zero[field.type]]),
  );
}

export function encodeClusterEndpoint(endpoint: ClusterEndpoint): string {
  return JSON.stringify({ version: SCHEMA_VERSION, ...endpoint });
}

/** @throws BerthError STORE_NEWER, STORE_CORRUPT naming the key. */
export function decodeClusterEndpoint({ key, value }: Entry): ClusterEndpoint {
  return decodeRecord(EndpointRecord, key, value);
}
