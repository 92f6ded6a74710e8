/** What a kind of object of the cluster is made of. Each kind is one file in this folder, and a row in `kinds.ts`. */

import { BerthError, type ErrorCode } from '../errors.ts';
import type { Config, Fields } from './field.ts';

/** In the order in which Contiv's model lists them. */
export type KindName =
  | 'aciGw'
  | 'appProfile'
  | 'Bgp'
  | 'endpointGroup'
  | 'extContractsGroup'
  | 'global'
  | 'netprofile'
  | 'network'
  | 'policy'
  | 'rule'
  | 'serviceLB'
  | 'tenant';

/** What the cluster gives to an object, beside what its user says. */
export interface Allocated {
  /** Of tenants and groups: a small number that the kernel knows them by; stays theirs, and is given again when they are gone. */
  readonly id?: number;
  /** Of networks: the VXLAN's VNI, or the VLAN. */
  readonly tag?: number;
  /** Of services: their address. */
  readonly vip?: string;
}

export interface ClusterObject {
  readonly kind: KindName;
  /** Unique among its kind: `tenant:network`. */
  readonly key: string;
  readonly config: Config;
  readonly allocated: Allocated;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The store's revision at its last change. */
  readonly revision: number;
}

/** All objects at one moment. */
export interface Objects {
  get(kind: KindName, key: string): ClusterObject | undefined;
  /** In the order of their keys. */
  list(kind: KindName): readonly ClusterObject[];
  /** Those of one tenant, in the order of their keys. */
  ofTenant(kind: KindName, tenant: string): readonly ClusterObject[];
  /** Those that name an object by one of the references of `kinds.ts`, in the order of their keys. */
  referring(reference: Reference, key: string): readonly ClusterObject[];
}

/** One field by which a kind names objects of another kind (or several, when it is a list). */
export interface Reference {
  readonly from: KindName;
  readonly field: string;
  readonly to: KindName;
  /** What is said when the object is not there. */
  readonly missing: (name: string, key: string) => string;
  /** How the object that refers shows it: in `links`, or for a list in `link-sets`. */
  readonly shown?: string;
  /** How the object that is referred to shows it in `link-sets`; as `link`, in `links`. */
  readonly back?: string | { readonly link: string };
  /** What is said when the object that is referred to is to be deleted; `cascade`: those that refer to it go with it. */
  readonly inUse: 'cascade' | ((target: ClusterObject, by: readonly ClusterObject[]) => string);
}

export interface Kind {
  readonly name: KindName;
  /** In the paths of the API: `networks`. */
  readonly path: string;
  readonly summary: string;
  readonly fields: Fields;
  /** The fields that make the key, joined by colons. */
  readonly key: readonly string[];
  /** What is shown in `link-sets` and `links` though it is empty: Contiv shows the object, or does not have it. */
  readonly linkSets: boolean;
  readonly links: readonly string[];
  /** There is state beside the configuration: `Oper` of inspect. */
  readonly oper: boolean;
  /** Absent: it is stored, checked and in force. Otherwise what is stored is not in force yet, and this says so. */
  readonly notInForce?: string;
  /** What concerns the configuration alone, before it is looked what it refers to. @throws BerthError */
  readonly check?: (config: Config) => void;
  /** What concerns other objects, after all references have been found; @returns what is allocated. @throws BerthError */
  readonly create?: (config: Config, objects: Objects) => Allocated;
  /**
   * A configuration in the place of another, each field of it checked.
   *
   * @returns the configuration to keep. @throws BerthError when it may not be changed.
   */
  readonly update: (existing: ClusterObject, config: Config, objects: Objects) => Config;
  /** What is no reference, and keeps the object all the same. @throws BerthError */
  readonly delete?: (existing: ClusterObject, objects: Objects) => void;
}

/** A refusal in Contiv's words. */
export function refuse(code: ErrorCode, sentence: string): never {
  throw new BerthError(code, sentence);
}

/** A text field of a configuration that the fields' table has checked. */
export function text(config: Config, field: string): string {
  return config[field] as string;
}

export function integer(config: Config, field: string): number {
  return config[field] as number;
}

export function texts(config: Config, field: string): readonly string[] {
  return config[field] as readonly string[];
}

/** The lowest number from 1 on that no object of the kind has. */
export function lowestId(objects: Objects, kind: KindName): number {
  const taken = new Set(objects.list(kind).map(({ allocated }) => allocated.id));
  let id = 1;
  while (taken.has(id)) id++;
  return id;
}
