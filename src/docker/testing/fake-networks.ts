/** The networks of an engine as far as the API shows them: made, listed and removed, with what goes wrong in between. */

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { VERSION } from './fake-engine.ts';

export interface FakeNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly [field: string]: unknown;
}

export interface FakeNetworks {
  /** For `FakeEngine.answer`. */
  readonly answers: Record<string, unknown>;
  readonly all: Map<string, FakeNetwork>;
  /** `GET /networks`, `POST NAME`, `DELETE NAME`, as they came. */
  readonly log: string[];
  names(): string[];
  add(network: Partial<FakeNetwork> & { Name: string }): string;
  /** What is answered instead, by `POST NAME` or `DELETE NAME`; null: the connection breaks off. */
  readonly refuse: Map<string, readonly [status: number, message: string] | null>;
  /** How many requests to make or remove a network were under way at a time. */
  readonly most: () => number;
}

export function fakeNetworks(): FakeNetworks {
  const all = new Map<string, FakeNetwork>();
  const log: string[] = [];
  const refuse: FakeNetworks['refuse'] = new Map();
  let next = 0;
  let underWay = 0;
  let most = 0;

  function add(network: Partial<FakeNetwork> & { Name: string }): string {
    next += 1;
    const Id = next.toString(16).padStart(64, 'f');
    all.set(Id, { Scope: 'local', Driver: 'bridge', ...network, Id });
    return Id;
  }

  async function change(what: string, request: IncomingMessage, response: ServerResponse, work: () => void) {
    log.push(what);
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    const refusal = refuse.get(what);
    if (refusal === null) request.socket.destroy();
    else if (refusal !== undefined) response.writeHead(refusal[0]).end(JSON.stringify({ message: refusal[1] }));
    else work();
  }

  const create: RequestListener = (request, response) => {
    let text = '';
    request.on('data', (data: Buffer) => (text += data.toString()));
    request.on('end', () => {
      const { CheckDuplicate: _, ...body } = JSON.parse(text) as FakeNetwork & { CheckDuplicate: boolean };
      void change(`POST ${body.Name}`, request, response, () => {
        const double = [...all.values()].some(({ Name }) => Name === body.Name);
        if (double) response.writeHead(409).end(JSON.stringify({ message: `network ${body.Name} already exists` }));
        else response.writeHead(201).end(JSON.stringify({ Id: add(body) }));
      });
    });
  };
  const list: RequestListener = (_request, response) => {
    log.push('GET /networks');
    response.end(JSON.stringify([...all.values()]));
  };
  const one =
    (id: string): RequestListener =>
    (request, response) => {
      const network = all.get(id);
      if (network === undefined) return void response.writeHead(404).end('{}');
      void change(`DELETE ${network.Name}`, request, response, () => {
        all.delete(id);
        response.writeHead(204).end();
      });
    };
  const answers = new Proxy<Record<string, unknown>>(
    { '/version': VERSION, '/networks': list, '/networks/create': create },
    {
      get: (known, path) =>
        typeof path === 'string' && known[path] === undefined
          ? one(path.slice('/networks/'.length))
          : known[String(path)],
    },
  );
  return {
    answers,
    all,
    log,
    refuse,
    add,
    names: () => [...all.values()].map(({ Name }) => Name).toSorted(),
    most: () => most,
  };
}
