/**
 * A way onto the wire: what a LAN network stands on, and how a container's link is tied to it. Everything else about a LAN
 * (subnets, gateways, what Docker is told) is the same in all of them, and stands in `lan.ts`.
 */

import type { HostView } from '../../kernel/kernel.ts';
import type { KernelObject } from '../../kernel/objects.ts';
import type { Mac } from '../../model/mac.ts';
import type { Endpoint, Json, Network } from '../../model/network.ts';
import type { FabricContext, FabricDefaults, OptionSpec } from '../fabric.ts';
import type { OptionValues } from '../options.ts';
import type { Settings } from './settings.ts';

/** A network of this mode, with its settings read. */
export interface LanNetwork<Of extends Settings> {
  readonly network: Network;
  readonly settings: Of;
}

/** A network that has yet to be made. */
export interface Plan {
  readonly options: OptionValues;
  readonly defaults: FabricDefaults;
  readonly host: HostView;
}

export interface LanMode<Of extends Settings = Settings> {
  readonly name: Of['mode'];
  /** Those that only this mode has. */
  readonly options: readonly OptionSpec[];

  /**
   * Decides the settings of a new network, and refuses what cannot work. Touches nothing.
   *
   * @throws BerthError BAD_OPTION, INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
   */
  plan(plan: Plan, context: FabricContext): Promise<Of> | Of;

  /** The link whose segment the network's addresses live on: what one says there, the LAN hears. Undefined: the host has none. */
  wire(settings: Of): string | undefined;

  /**
   * Refuses a container when what the network stands on is not there any more.
   *
   * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
   */
  check(settings: Of, host: HostView): void;

  /** The MTU of the containers' links, unless the user chose one. */
  mtu(settings: Of, host: HostView): number | undefined;

  /** The one MAC address that all containers have by the nature of the link. Absent: each has its own. */
  sharedMac?(settings: Of, host: HostView): Mac | undefined;

  /** What one container takes of it. Absent: nothing of its own. @throws BerthError */
  planEndpoint?(of: LanNetwork<Of>, context: FabricContext): { readonly [key: string]: Json };
  defaultMac?(endpointSettings: Json): Mac;

  /** The link, here, that the engine moves into the container. Absent: `containerLink(endpoint)`. */
  sourceLink?(endpoint: Endpoint): string;

  /** As in `Fabric`: see there. */
  open?(of: LanNetwork<Of>, context: FabricContext): Promise<void>;
  close?(of: LanNetwork<Of>, context: FabricContext): Promise<void>;
  confirm?(of: LanNetwork<Of>, context: FabricContext): Promise<void>;
  maintain?(
    context: FabricContext,
    amend: (network: Network, settings: Json) => Promise<void>,
  ): Promise<number | undefined>;
  disturbed?(context: FabricContext): boolean;
  standing?(settings: Of): readonly KernelObject[];

  /** What a network needs while a container is on it. */
  network(of: LanNetwork<Of>, context: FabricContext): readonly KernelObject[];

  /** What one container needs: its link first of all, named `containerLink(endpoint)` as long as the engine does not have it. */
  endpoint(of: LanNetwork<Of>, endpoint: Endpoint, context: FabricContext): readonly KernelObject[];
}
