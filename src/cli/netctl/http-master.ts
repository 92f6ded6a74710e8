/** Speaks to masters over HTTP. Any of them serves any request, so when one cannot be reached the next is asked. */

import type { RequestOptions } from 'node:https';
import { type Connection, isPrivateWay } from './connection.ts';
import type { MasterFailure } from './failure.ts';
import type { Fields, Key, Master } from './master.ts';
import { type Answer, brokenAnswer, refusal, unreachable } from './refusal.ts';
import { printable, text } from './text.ts';

/** Not imported: as ES modules they evaluate all their lazy exports, which would take 20 ms of every command. */
const http = process.getBuiltinModule('node:http');

/** What a cluster of 100,000 endpoints answers fits; what does not end is not read for ever. */
const longestAnswer = 256 * 1024 * 1024;

/** Where there are others to ask, one that does not even take the connection is given up soon; milliseconds. */
const connectPatience = 3000;

export interface MasterClient extends Master {
  /** Ends the connections that were kept open for the next request. */
  close(): void;
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

  const ask = async (address: string, method: string, path: string, body: string | undefined): Promise<Answer> => {
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
    deadline ??= performance.now() + timeout;
    const patience = {
      timeout,
      left: deadline - performance.now(),
      connect: addresses.length > 1 ? connectPatience : timeout,
    };
    return exchange(address + path, options, body, patience);
  };

  const request = async (method: string, path: string, fields?: Fields): Promise<unknown> => {
    const body = fields === undefined ? undefined : JSON.stringify(fields);
    for (let tries = 1; ; tries++) {
      const address = addresses[current]!;
      try {
        const asked = ask(address, method, path, body);
        const answer = await (watch === undefined ? asked : watch(address, asked));
        const value = understand(method, address + path, answer);
        const said = answer.headers['berth-notice'];
        if (method === 'POST' && typeof said === 'string') notice?.(printable(said));
        return value;
      } catch (error) {
        // Only where nothing can have been done yet is another asked to do it.
        if (!(error instanceof NotConnected)) throw error;
        if (tries >= addresses.length) throw error.failure;
        current = (current + 1) % addresses.length;
      }
    }
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

/** No connection came about, so nothing was asked of anybody. */
class NotConnected extends Error {
  readonly failure: MasterFailure;

  constructor(failure: MasterFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

interface Patience {
  /** What was allowed, what is left of it, and how long a connection may take; milliseconds. */
  readonly timeout: number;
  readonly left: number;
  readonly connect: number;
}

function exchange(url: string, options: RequestOptions, body: string | undefined, patience: Patience): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const method = options.method!;
  const secure = url.startsWith('https:');
  const send = secure ? process.getBuiltinModule('node:https').request : http.request;
  let connected = false;
  const fail = (error: Error & { code?: string }): void => {
    clearTimeout(timer);
    clearTimeout(connecting);
    const failure = unreachable(method, url, error, patience.timeout);
    reject(connected ? failure : new NotConnected(failure));
  };
  const outgoing = send(url, options, (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > longestAnswer) response.destroy(new Error(`the answer is longer than ${longestAnswer} bytes`));
    });
    response.on('error', fail);
    response.on('end', () => {
      clearTimeout(timer);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() });
    });
  });
  const late = (): void => {
    outgoing.destroy(Object.assign(new Error('no answer in time'), { code: 'TIMEOUT' }));
  };
  const timer = setTimeout(late, Math.max(0, patience.left));
  const connecting = setTimeout(late, Math.max(0, Math.min(patience.left, patience.connect)));
  const hasConnected = (): void => {
    connected = true;
    clearTimeout(connecting);
  };
  outgoing.on('socket', (socket) => {
    if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', hasConnected);
    else hasConnected();
  });
  outgoing.on('error', fail);
  outgoing.end(body);
  return promise;
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
