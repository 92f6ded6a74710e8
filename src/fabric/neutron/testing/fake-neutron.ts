/**
 * A Neutron of the tests' own, which keeps what it is asked to make, so that a test can break off at any call and see what is left. How
 * the real one behaves is seen with a real one (`test/e2e`); here is only as much as the undoing of things needs.
 */

import type { ServerResponse } from 'node:http';
import { type Answer, type Asked, type FakeCloud, json } from '../../../openstack/testing/fake-cloud.ts';

export interface Thing {
  readonly id: string;
  readonly [field: string]: unknown;
}

/**
 * What becomes of one call: it is lost on the way there, or its answer on the way back; it is done `late`, when the
 * connection has ended and the next call is answered; or nobody ever answers.
 */
export type Misfortune = 'lost' | 'unanswered' | 'late' | 'refused' | 'silence' | 'silence after';

export interface FakeNeutron {
  /** All that there is, by collection: `floatingips`. */
  readonly things: ReadonlyMap<string, readonly Thing[]>;
  put(collection: string, thing: Thing): void;
  remove(collection: string, id: string): void;
  /** The how-manieth call from now on, from 1, has this misfortune; no other has any. */
  strike(call: number, what: Misfortune): void;
  /** Resolves when it has. */
  struck(): Promise<void>;
  /** Calls since the last `strike`. */
  readonly calls: readonly string[];
}

/** Answers all calls of a cloud from now on, in this test. */
export function fakeNeutron(cloud: FakeCloud): FakeNeutron {
  const things = new Map<string, Thing[]>();
  let calls: string[] = [];
  let fate: { call: number; what: Misfortune } | undefined;
  let struck = Promise.withResolvers<void>();
  let count = 0;
  const late: (() => unknown)[] = [];
  const of = (collection: string): Thing[] => things.get(collection) ?? [];
  const set = (collection: string, all: Thing[]): void => void things.set(collection, all);

  const refusal = (type: string, status: number) => json({ NeutronError: { type, message: type, detail: '' } }, status);

  function make(collection: string, what: object): Thing {
    const thing = { id: `${collection}-${++count}`, revision_number: 1, ...described(collection, what) };
    set(collection, [...of(collection), thing]);
    return thing;
  }

  function described(collection: string, what: object): object {
    if (collection === 'floatingips') return { floating_ip_address: `172.24.4.${count + 10}`, ...what };
    if (collection === 'security-groups') return { security_group_rules: [], ...what };
    return what;
  }

  function effect({ line, body }: Asked): Answer {
    const [method = '', target = ''] = line.split(' ');
    const url = new URL(target, 'http://neutron');
    const parts = url.pathname.split('/').slice(2);
    const [collection = '', id] = parts.length > 2 && parts[0] === 'floatingips' ? [parts[2], parts[3]] : parts;
    const plural = collection.replaceAll('-', '_');
    const one = plural.replace(/s$/, '');
    const given = body as Record<string, object & readonly object[]>;
    if (parts[0] === 'routers' && parts.length > 2) {
      const { port_id } = body as { port_id: string };
      if (parts[2] === 'add_router_interface')
        change('ports', port_id, { device_id: parts[1]!, device_owner: 'network:router_interface' });
      else if (!of('ports').some((port) => port.id === port_id)) return refusal('RouterInterfaceNotFound', 404);
      else drop('ports', port_id);
      return json({ id: parts[1], port_id });
    }
    if (method === 'POST') {
      if (given[plural] === undefined) return json({ [one]: make(collection, given[one]!) }, 201);
      return json({ [plural]: given[plural].map((what) => make(collection, what)) }, 201);
    }
    const found = of(collection).find((thing) => thing.id === id);
    if (method === 'GET' && id === undefined) return json({ [plural]: of(collection).filter(fits(url.searchParams)) });
    if (found === undefined) return refusal('NotFound', 404);
    if (method === 'GET') return json({ [one]: found });
    if (method === 'PUT') return json({ [one]: change(collection, id!, given[one]!) });
    const isUsed = of('ports').some(({ security_groups }) => (security_groups as string[] | undefined)?.includes(id!));
    if (collection === 'security-groups' && isUsed) return refusal('SecurityGroupInUse', 409);
    drop(collection, id!);
    return json(undefined, 204);
  }

  function change(collection: string, id: string, what: object): Thing {
    const all = of(collection).map((thing) =>
      thing.id === id ? { ...thing, ...what, revision_number: Number(thing.revision_number) + 1 } : thing,
    );
    set(collection, all);
    return all.find((thing) => thing.id === id)!;
  }

  const drop = (collection: string, id: string): void =>
    set(
      collection,
      of(collection).filter((thing) => thing.id !== id),
    );

  const fits = (query: URLSearchParams) => (thing: Thing) =>
    [...query].every(([name, value]) => name === 'fields' || String(thing[name]) === value);

  const hangUp = (response: ServerResponse): void => void response.socket?.destroy();

  const answer: Answer = (asked, response, nth) => {
    calls.push(asked.line.replace(/\?.*/, ''));
    const what = fate?.call === calls.length ? fate.what : undefined;
    if (what !== undefined) struck.resolve();
    if (what === 'silence') return;
    if (what === 'lost') return hangUp(response);
    if (what === 'late') {
      late.push(() => effect(asked));
      return hangUp(response);
    }
    if (what === 'refused') return refusal('Conflict', 409)(asked, response, nth);
    const told = effect(asked);
    for (const work of late.splice(0)) work();
    if (what === 'silence after') return;
    if (what === 'unanswered') return hangUp(response);
    told(asked, response, nth);
  };
  cloud.answer(new Proxy({}, { get: () => answer }));

  return {
    things,
    put: (collection, thing) => set(collection, [...of(collection), thing]),
    remove: drop,
    strike(call, what) {
      fate = { call, what };
      calls = [];
      struck = Promise.withResolvers();
    },
    struck: () => struck.promise,
    get calls() {
      return calls;
    },
  };
}
