/** Asking Neutron and Keystone in the name of a test: straight, by their unix sockets, and not by way of the product. */

import { request } from 'node:http';

export interface RestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Milliseconds; default 60,000. */
  readonly timeout?: number;
}

/** One call. @throws when nobody listens, or no answer comes in time; any answer is a result. */
export function ask(
  where: { readonly socketPath: string },
  path: string,
  { method = 'GET', headers = {}, body, timeout = 60_000 }: AskOptions = {},
): Promise<RestAnswer> {
  return new Promise((resolve, reject) => {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const sent = request(
      {
        ...where,
        path,
        method,
        agent: false,
        signal: AbortSignal.timeout(timeout),
        headers: {
          ...headers,
          ...(content === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks).toString() }),
        );
      },
    );
    sent.once('error', reject);
    sent.end(content);
  });
}

/** A resource as the API shows it. */
export type Resource = Readonly<Record<string, unknown>> & { readonly id: string };

/**
 * A client for one service, with the rights of one user. Paths begin behind the version: `/ports?tags=x`. Each call fails with
 * the service's answer in its message unless that is a success.
 */
export interface RestClient {
  /** The only member of the answer: the list of `/ports`, the object of `/ports/ID`. */
  get<T = Resource[]>(path: string): Promise<T>;
  /** Creates one: `post('/ports', { network_id })` wraps and unwraps `port`. */
  post<T = Resource>(path: string, attributes: Readonly<Record<string, unknown>>): Promise<T>;
  put<T = Resource>(path: string, attributes: Readonly<Record<string, unknown>>): Promise<T>;
  /** One that is not there is no error. */
  delete(path: string): Promise<void>;
  /** Any call, as it is; no answer is an error. */
  call(method: string, path: string, body?: unknown): Promise<RestAnswer>;
}

/**
 * @param version the path that all others are below: `/v2.0`, `/v3`.
 * @param token a token that is valid now; undefined where none is asked for.
 */
export function restClient(
  socket: () => string,
  version: string,
  token: () => Promise<string | undefined>,
): RestClient {
  const call = async (method: string, path: string, body?: unknown): Promise<RestAnswer> => {
    const valid = await token();
    return ask({ socketPath: socket() }, version + path, {
      method,
      headers: valid === undefined ? {} : { 'x-auth-token': valid },
      ...(body === undefined ? {} : { body }),
    });
  };
  const must = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await call(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${version}${path}: ${answer.status} ${answer.body}`);
    return only(answer.body) as T;
  };
  const wrapped = (path: string, attributes: Readonly<Record<string, unknown>>) => ({ [wrapper(path)]: attributes });
  return {
    call,
    get: (path) => must('GET', path),
    post: (path, attributes) => must('POST', path, wrapped(path, attributes)),
    put: (path, attributes) => must('PUT', path, wrapped(path, attributes)),
    delete: async (path) => {
      const answer = await call('DELETE', path);
      if (answer.status >= 300 && answer.status !== 404) {
        throw new Error(`DELETE ${version}${path}: ${answer.status} ${answer.body}`);
      }
    },
  };
}

/** The name under which a resource is sent: that of its collection in the singular, with underscores. */
function wrapper(path: string): string {
  const collections = path
    .replace(/\?.*/, '')
    .split('/')
    .filter((part) => /^[a-z_-]+$/.test(part) && part !== 'qos');
  const name = collections.at(-1)!.replaceAll('-', '_');
  return name.endsWith('ies') ? name.replace(/ies$/, 'y') : name.replace(/s$/, '');
}

/** Lists come with `links` (Keystone) or `ports_links` (Neutron) beside them. */
function only(body: string): unknown {
  if (body === '') return undefined;
  const members = Object.entries(JSON.parse(body) as Record<string, unknown>).filter(
    ([name]) => !/(^|_)links$/.test(name),
  );
  return members.length === 1 ? members[0]![1] : Object.fromEntries(members);
}
