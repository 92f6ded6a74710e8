/** The part of the Docker Engine API that Berth uses. Never from within a plugin call: the engine would wait for itself. */

import type { Address } from '../model/address.ts';
import type { EndpointId, EngineId, NetworkId } from '../model/ids.ts';
import type { Mac } from '../model/mac.ts';
import type { InterfaceAddress, Prefix } from '../model/prefix.ts';

export interface EngineInfo {
  readonly id: EngineId;
  /** Such as `28.5.2`. */
  readonly version: string;
  readonly apiVersion: string;
  readonly liveRestore: boolean;
  readonly swarm: boolean;
  /** It shares its networks with other engines by a cluster store (`--cluster-store`, up to 20.10). */
  readonly clusterStore: boolean;
  /** It is a manager of its swarm, and makes networks for all nodes. */
  readonly manager: boolean;
  /** How many nodes the swarm has, as a manager knows it. */
  readonly nodes?: number;
  /** Its network drivers, managed plugins by their full names. */
  readonly drivers: readonly string[];
  /** Where it keeps its files. */
  readonly folder?: string;
}

/** A network as the engine has it, from `GET /networks/{id}`. */
export interface EngineNetwork {
  readonly id: NetworkId;
  readonly name: string;
  readonly driver: string;
  readonly ipamDriver: string;
  readonly scope: string;
  readonly internal: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly subnets: readonly EngineSubnet[];
  /** Name of the bridge that the engine made for it, if it did. */
  readonly bridge?: string;
  /** Only containers that run have one. */
  readonly endpoints: readonly EngineEndpoint[];
}

/** A network to be made, as `docker network create` says it. */
export interface NewNetwork {
  /** In a swarm: containers that are no tasks may be on it too. */
  readonly attachable?: boolean;
  readonly name: string;
  readonly driver: string;
  readonly ipamDriver: string;
  readonly subnets: readonly { readonly subnet: Prefix; readonly gateway?: Address }[];
  readonly options: Readonly<Record<string, string>>;
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface EngineSubnet {
  readonly subnet: Prefix;
  /** `--ip-range`. */
  readonly range?: Prefix;
  /** Engines do not tell one that they chose themselves for a subnet that the user gave. */
  readonly gateway?: Address;
  /** `--aux-address`. */
  readonly auxiliary: Readonly<Record<string, Address>>;
}

export interface EngineEndpoint {
  readonly id: EndpointId;
  /** Id of the container. */
  readonly container: string;
  /** Name of the container. */
  readonly name: string;
  readonly addresses: readonly InterfaceAddress[];
  readonly mac?: Mac;
}

/** A container, from `GET /containers/{id}/json`. */
export interface EngineContainer {
  readonly id: string;
  /** Without the slash in front. */
  readonly name: string;
  /** `--hostname`, or the beginning of its id. */
  readonly hostName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly running: boolean;
  /** `--network` as the container was made with: `none`, `host`, `container:<id>`, the name of a network. */
  readonly networkMode: string;
  /** Path of its network namespace, as Join tells it; absent when it does not run, or has none of its own. */
  readonly sandbox?: string;
  /** Where its root file system is mounted while it runs, and before it does; only some storage drivers tell (overlay2). */
  readonly root?: string;
  /** What it is called on its networks besides its name (`--network-alias`), by endpoint; of one that runs. */
  readonly aliases?: ReadonlyMap<EndpointId, readonly string[]>;
  /** Its ports as its image and the user name them, such as `80/tcp`. */
  readonly exposes?: readonly string[];
}

/** A container that exists, running or not, from `GET /containers/json`. */
export interface ListedContainer {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  /** What Compose calls it. */
  readonly compose?: { readonly project: string; readonly service: string; readonly number?: string };
  readonly networks: readonly {
    /** As the user named the network, or its id. */
    readonly key: string;
    /** Some engines do not know it before the first start. */
    readonly id?: NetworkId;
  }[];
}

export interface EngineEvent {
  readonly type: string;
  readonly action: string;
  readonly actor: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Engine {
  /** @throws BerthError ENGINE_UNREACHABLE; every call has its own time limit. */
  info(): Promise<EngineInfo>;
  /**
   * All networks. Those that `inspect` declines come without their endpoints, which cost one more call each. One that goes
   * away in between is left out.
   *
   * @throws BerthError ENGINE_UNREACHABLE
   */
  networks(inspect?: (network: EngineNetwork) => boolean): Promise<readonly EngineNetwork[]>;
  /**
   * Has the engine make a network; it calls the driver meanwhile. After ENGINE_UNREACHABLE it may have been made, or still be.
   *
   * @returns its id.
   * @throws BerthError NETWORK_EXISTS for a name that is taken, ENGINE_REFUSED, ENGINE_UNREACHABLE
   */
  createNetwork(network: NewNetwork): Promise<NetworkId>;
  /**
   * Has the engine remove a network. Removing what is not there succeeds.
   *
   * @throws BerthError NETWORK_IN_USE while containers are on it, ENGINE_REFUSED, ENGINE_UNREACHABLE
   */
  removeNetwork(id: NetworkId): Promise<void>;
  /** All containers. The engine answers also while one of them starts. @throws BerthError ENGINE_UNREACHABLE */
  containers(): Promise<readonly ListedContainer[]>;
  /**
   * A container by its name, id or unique beginning of an id; undefined when there is none.
   *
   * @throws BerthError ENGINE_UNREACHABLE
   */
  container(wanted: string): Promise<EngineContainer | undefined>;
  /**
   * Follows events of networks, containers and the daemon until the signal aborts or the engine goes away. The first is
   * `engine` `connected`: what happens from there on will be told, so whoever needs the whole picture reads it then.
   *
   * @throws BerthError ENGINE_UNREACHABLE when the stream cannot be opened or read.
   */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
}
