/** Speaks to masters over HTTP. Any of them serves any request, so when one cannot be reached the next is asked. */

import type { RequestOptions } from 'node:https';
import { type Connection, isPrivateWay } from './connection.ts';
import { exchange, Lost, type Patience } from './exchange.ts';
import type { Fields, Key, Master } from './master.ts';
import { type Answer, brokenAnswer, refusal } from './refusal.ts';
import { printable, text } from './text.ts';

/** Not imported: as ES modules they evaluate all their lazy exports, which would take 20 ms of every command. */
const http = process.getBuiltinModule('node:http');

/** Where there are others to ask, one that does not take the connection, or says nothing at all, is given up soon; milliseconds. */
const soon = 3000;

export interface MasterClient extends Master {
  /** Ends the connections that were kept open for the next request. */
  close(): void;
}

interface Reached {
  readonly address: string;
  readonly answer: Answer;
}

export interface Company {
  /** Asked for when the first request goes to an address that may see it. */
  readonly token: () => Promise<string | undefined>;
  /** Is given each request, to tell the user while it lasts. */
  readonly watch?: <T>(address: string, work: Promise<T>) => Promise<T>;
  /** What the user should know about an object that was made: that it is not in force yet. */
  readonly notice?: (text: string) => void;
}

export function httpMaster(connection: Connection, { token, watch, notice }: Company): MasterClient {
  const { addresses, timeout } = connection;
  const share = timeout / addresses.length;
  // From the first request on: a question to the user costs no time.
  let deadline: number | undefined;
  const agents = new Map<string, import('node:http').Agent>();
  // The one that answered last is asked first: the others may be dead, and each would cost a connection.
  let current = 0;

  const agentFor = (address: string): import('node:http').Agent => {
    const known = agents.get(address);
    if (known !== undefined) return known;
    const secure = address.startsWith('https:');
    const made = secure
      ? new (process.getBuiltinModule('node:https').Agent)({ keepAlive: true })
      : new http.Agent({ keepAlive: true });
    agents.set(address, made);
    return made;
  };

  const ask = async (address: string, method: string, path: string, body: string | undefined, patience: Patience) => {
    const secret = isPrivateWay(address) || connection.tls.insecure ? await token() : undefined;
    const { insecure, ...certificates } = connection.tls;
    const options: RequestOptions = {
      method,
      agent: agentFor(address),
      headers: {
        accept: 'application/json, application/problem+json, text/plain',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        // Both ways: ours, and that of Contiv's auth_proxy.
        ...(secret === undefined ? {} : { authorization: `Bearer ${secret}`, 'x-auth-token': secret }),
      },
      ...(address.startsWith('https:') ? { ...certificates, rejectUnauthorized: !insecure } : {}),
    };
    return exchange(address + path, options, body, patience);
  };

  /** Asks masters in turn until one answers. What may have been done by one is not asked of another. */
  const reach = async (method: string, path: string, body?: string, limit = timeout): Promise<Reached> => {
    deadline ??= performance.now() + timeout;
    for (let tries = 1; ; tries++) {
      const address = addresses[current]!;
      const others = tries < addresses.length;
      const mayRepeat = method === 'GET' && others;
      const left = Math.min(limit, deadline - performance.now());
      const patience = {
        connect: others ? Math.min(soon, share) : left,
        answer: mayRepeat ? Math.min(left, share) : left,
      };
      try {
        const asked = ask(address, method, path, body, patience);
        const answer = await (watch === undefined ? asked : watch(address, asked));
        // One that is cut off from the store says so; another may not be.
        if (answer.status !== 503 || !mayRepeat) return { address, answer };
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        if (!others || (error.connected && !mayRepeat)) throw error.failure;
      }
      current = (current + 1) % addresses.length;
    }
  };

  let alive = addresses.length === 1;
  const request = async (method: string, path: string, fields?: Fields): Promise<unknown> => {
    // Where there are several, one that answers is found first: of one that hangs nobody could say whether it made a change.
    if (!alive) await reach('GET', '/version', undefined, Math.min(soon, share));
    alive = true;
    const { address, answer } = await reach(method, path, fields === undefined ? undefined : JSON.stringify(fields));
    const value = understand(method, address + path, answer);
    const said = answer.headers['berth-notice'];
    if (method === 'POST' && typeof said === 'string') notice?.(printable(said));
    return value;
  };

  return {
    async list(type, tenant) {
      // Contiv's masters send all of them, whatever is asked.
      const query = tenant === undefined ? '' : `?tenant=${encodeURIComponent(tenant)}`;
      const value = await request('GET', `/api/v1/${type}/${query}`);
      if (!Array.isArray(value)) throw brokenAnswer(addresses[current]!, 'a list was asked for, and it is none');
      return (value as unknown[]).filter(isObject).toSorted(byKey);
    },
    async get(type, key) {
      return asObject(await request('GET', objectPath(type, key)), addresses[current]!);
    },
    inspect: (type, key) => request('GET', objectPath(`inspect/${type}`, key)),
    put: (type, key, fields) => request('POST', objectPath(type, key), withoutEmpty(fields)),
    remove: (type, key) => request('DELETE', objectPath(type, key)),
    async version() {
      return asObject(await request('GET', '/version'), addresses[current]!);
    },
    async login(username, password) {
      return asObject(await request('POST', '/api/v1/auth_proxy/login/', { username, password }), addresses[current]!);
    },
    close: () => {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

function understand(method: string, url: string, answer: Answer): unknown {
  const { status, text } = answer;
  if (status !== 200) throw refusal(method, url, answer);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw brokenAnswer(url, text === '' ? 'it is empty' : 'it is not JSON');
  }
}

/** `/api/v1/networks/default:shop/`: names may hold anything, the path stays what it is. */
export function objectPath(type: string, key: Key): string {
  return `/api/v1/${type}/${key.map((part) => encodeURIComponent(part)).join(':')}/`;
}

/** As Go's `omitempty`: the master then applies its defaults. */
function withoutEmpty(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) =>
        value !== undefined && value !== '' && value !== 0 && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asObject(value: unknown, url: string): Fields {
  if (isObject(value)) return value;
  throw brokenAnswer(url, 'an object was asked for, and it is none');
}

/** By tenant and name, byte by byte, whatever order the master has them in. */
function byKey(a: Fields, b: Fields): number {
  const [left, right] = [text(a, 'key'), text(b, 'key')];
  return left < right ? -1 : left > right ? 1 : 0;
}
