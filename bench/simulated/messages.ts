/** What the benchmark and the processes that play hosts say to each other. */

/** How many hosts there are, and what is on them. */
export interface Scale {
  readonly hosts: number;
  readonly endpoints: number;
  readonly networks: number;
  /** Networks that a host carries. */
  readonly carried: number;
}

export interface Orders {
  readonly etcd: string;
  readonly scale: Scale;
  /** Numbers of the hosts that a process plays. */
  readonly first: number;
  readonly last: number;
}

export type ToPlayer =
  | ({ readonly do: 'start' } & Orders)
  /** The first endpoint of a host is put on another address, which those who follow its network are to see. */
  | { readonly do: 'change'; readonly host: number; readonly mark: string }
  /** Whoever sees the mark says so. */
  | { readonly do: 'await'; readonly mark: string }
  | { readonly do: 'end' };

export type FromPlayer =
  | { readonly said: 'converged'; readonly host: number; readonly at: number }
  | { readonly said: 'published'; readonly mark: string; readonly at: number }
  | { readonly said: 'seen'; readonly mark: string; readonly at: number }
  | { readonly said: 'ended'; readonly residentMegabytes: number };

/** Milliseconds that mean the same in all processes of a machine. */
export const clock = (): number => performance.timeOrigin + performance.now();

/** Which networks a host carries: neighbours share some, no two hosts all. */
export function networksOf(host: number, { networks, carried }: Scale): readonly string[] {
  return Array.from({ length: carried }, (_, n) => `default:n${(host * 7 + n * n * 13 + n) % networks}`);
}

/** How many hosts carry each network. */
export function carriersOf(scale: Scale): ReadonlyMap<string, number> {
  const carriers = new Map<string, number>();
  for (let host = 0; host < scale.hosts; host++) {
    for (const network of new Set(networksOf(host, scale))) carriers.set(network, (carriers.get(network) ?? 0) + 1);
  }
  return carriers;
}
