/** Networks and endpoints as Berth keeps them. */

import type { Address } from './address.ts';
import type { Attachment } from './attachment.ts';
import type { EndpointId, NetworkId, PoolId } from './ids.ts';
import type { Mac } from './mac.ts';
import type { InterfaceAddress, Prefix } from './prefix.ts';

export type FabricKind = 'lan' | 'cluster' | 'neutron';

/** A value that survives JSON unchanged: what a fabric keeps with a network or an endpoint. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/** One subnet of a network, as Docker told it in CreateNetwork. */
export interface Subnet {
  readonly prefix: Prefix;
  readonly gateway?: Address;
  readonly auxiliary: Readonly<Record<string, Address>>;
}

export interface Network {
  readonly id: NetworkId;
  readonly fabric: FabricKind;
  /** The plugin name under which Docker made it, such as `berth-lan`. */
  readonly plugin: string;
  readonly subnets: readonly Subnet[];
  /** Its addresses are leased by our IPAM, not by Docker's. */
  readonly leased: boolean;
  /** The pools that its addresses come from, when they do: networks that share a subnet may have a range of it each. */
  readonly pools?: readonly PoolId[];
  /** `--internal`: no way out. */
  readonly internal: boolean;
  /** The `-o` options as given. */
  readonly options: Readonly<Record<string, string>>;
  /** What the fabric made of the options; only that fabric reads it. */
  readonly settings: Json;
  /** Made for one attachment rather than by Docker, which knows nothing of it; goes with the attachment. */
  readonly adHoc?: true;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/**
 * How far an endpoint has come. The phase is written to the store before the kernel is touched, so a restart knows what to
 * finish or to undo.
 *
 * - `created`: Docker knows the endpoint; nothing of it is in the kernel. Of an attachment: its container does not run.
 * - `attached`: its link must exist in the kernel (it may not yet, when we died in between).
 * - `removing`: its link must be gone; the record goes when it is.
 */
export type EndpointPhase = 'created' | 'attached' | 'removing';

export interface EndpointRoute {
  readonly destination: Prefix;
  /** Absent: the destination is on the link itself. */
  readonly via?: Address;
}

export interface Endpoint {
  readonly id: EndpointId;
  readonly network: NetworkId;
  readonly phase: EndpointPhase;
  /** At most one of each family. */
  readonly addresses: readonly InterfaceAddress[];
  readonly mac: Mac;
  /** What it was told with its addresses (DHCP), where its network does not know. */
  readonly gateways?: readonly Address[];
  readonly routes?: readonly EndpointRoute[];
  readonly mtu?: number;
  /** Docker's path of the container's network namespace, known from Join. */
  readonly sandbox?: string;
  /** What the interface is called in the container, once it has been seen there. */
  readonly sandboxInterface?: string;
  /** `-p` was given: Docker's gateway bridge publishes the ports and holds the default route. */
  readonly publishes: boolean;
  /** `--driver-opt` of the endpoint as given. */
  readonly options: Readonly<Record<string, string>>;
  readonly settings: Json;
  /** Present when Berth plugs the container in itself, rather than the engine. */
  readonly attachment?: Attachment;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}
