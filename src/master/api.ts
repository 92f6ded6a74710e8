/** The API: Contiv's paths and bodies, with real statuses, revisions and a stream of changes. */

import { BerthError } from '../model/errors.ts';
import type { ClusterObject, Kind, Objects } from '../model/objects/kind.ts';
import { kinds, kindsByPath } from '../model/objects/kinds.ts';
import { viewOf } from '../model/objects/view.ts';
import { version } from '../model/version.ts';
import type { Changed, IfMatch, Registry } from '../objects/registry.ts';
import { watchObjects } from '../objects/watch.ts';
import type { Store } from '../store/store.ts';
import type { Answer, ApiRequest } from './http.ts';
import { openApi } from './openapi.ts';
import { endpointView, findEndpoints, operOf } from './oper.ts';
import { linesOf } from './watch.ts';

export interface ApiParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly clusterMode: string;
  /** A change was made: for the audit. */
  audit(change: Change): void;
}

export interface Change {
  readonly action: 'create' | 'update' | 'delete';
  readonly kind: string;
  readonly key: string;
  readonly before: number | undefined;
  readonly after: number | undefined;
}

/** Kinds of Contiv's model that nothing ever handled. */
const EMPTY_KINDS = ['volumes', 'volumeProfiles'];

/** Answers one request. @throws BerthError */
export async function answer(parts: ApiParts, request: ApiRequest): Promise<Answer> {
  const [first, second, ...rest] = request.path;
  if (first === 'version' && second === undefined) return read(request, () => serverVersion());
  if (first !== 'api' || second !== 'v1') throw notFound();
  const [name, key, beyond] = rest;
  if (name === 'inspect') return read(request, () => inspect(parts, rest.slice(1)));
  if (name === undefined) throw notFound();
  if (rest.length === 1) {
    if (name === 'watch') return read(request, () => watch(parts, request));
    if (name === 'status') return read(request, () => status(parts));
    if (name === 'openapi.json') return read(request, async () => ({ json: openApi() }));
    if (name === 'endpoints') return read(request, () => listEndpoints(parts));
    if (EMPTY_KINDS.includes(name)) return read(request, async () => ({ json: [] }));
  }
  if (EMPTY_KINDS.includes(name)) throw new BerthError('OBJECT_INVALID', 'Invalid object type');
  const kind = kindsByPath.get(name);
  if (kind === undefined || beyond !== undefined) throw notFound();
  if (key === undefined) return read(request, () => list(parts, kind, request.query));
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return await get(parts, kind, key);
    case 'POST':
    case 'PUT':
      return await put(parts, kind, key, request);
    case 'DELETE':
      return await remove(parts, kind, key, request);
    default:
      throw notAllowed(request, 'GET, POST, PUT and DELETE');
  }
}

function notFound(): BerthError {
  return new BerthError('UNKNOWN_METHOD', '404 page not found');
}

function notAllowed({ method, path }: ApiRequest, allowed: string): BerthError {
  return new BerthError('METHOD_NOT_ALLOWED', `/${path.join('/').slice(0, 200)}/ takes ${allowed}, not ${method}`);
}

/** Whatever only tells. */
function read(request: ApiRequest, work: () => Promise<Answer>): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw notAllowed(request, 'GET');
  return work();
}

async function serverVersion(): Promise<Answer> {
  return { json: { GitCommit: 'berth', Version: version, BuildTime: '' } };
}

async function list({ registry }: ApiParts, kind: Kind, query: URLSearchParams): Promise<Answer> {
  const limit = integerOf(query, 'limit');
  const after = query.get('after');
  const tenant = query.get('tenant');
  const objects = await registry.current();
  const all =
    tenant === null || kind.fields.tenantName === undefined || kind.name === 'tenant'
      ? objects.list(kind.name)
      : objects.ofTenant(kind.name, tenant);
  const rest = after === null ? all : all.filter(({ key }) => key > after);
  const page = limit === undefined ? rest : rest.slice(0, limit);
  const more = page.length < rest.length;
  return {
    json: page.map((object) => viewOf(object, objects)),
    headers: more ? { 'berth-more': page.at(-1)!.key } : {},
  };
}

/** @throws BerthError BAD_REQUEST */
function integerOf(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  if (/^[1-9][0-9]{0,14}$/.test(value)) return Number(value);
  throw new BerthError('BAD_REQUEST', `${name} must be a number from 1 on`);
}

function find(objects: Objects, kind: Kind, key: string): ClusterObject {
  const object = objects.get(kind.name, key);
  if (object === undefined) throw new BerthError('OBJECT_UNKNOWN', `${kind.name} not found`);
  return object;
}

function headersOf(kind: Kind, revision: number): Record<string, string> {
  const notice = kind.notInForce === undefined ? {} : { 'berth-notice': kind.notInForce };
  return { etag: `"${revision}"`, ...notice };
}

async function get({ registry }: ApiParts, kind: Kind, key: string): Promise<Answer> {
  const objects = await registry.current();
  const object = find(objects, kind, key);
  return { json: viewOf(object, objects), headers: headersOf(kind, object.revision) };
}

/** @throws BerthError BAD_REQUEST for what is no ETag of ours. */
function matchOf(request: ApiRequest): IfMatch | undefined {
  const none = request.header('if-none-match');
  const match = request.header('if-match');
  if (none !== undefined && none !== '*') throw new BerthError('BAD_REQUEST', 'If-None-Match can only be *');
  if (none === '*') return 'none';
  if (match === undefined || match === '*') return match;
  const revision = /^"([0-9]{1,15})"$/.exec(match)?.[1];
  if (revision === undefined) throw new BerthError('BAD_REQUEST', 'If-Match must be the ETag of the object, or *');
  return Number(revision);
}

async function put(parts: ApiParts, kind: Kind, key: string, request: ApiRequest): Promise<Answer> {
  const changed = await parts.registry.put(kind, key, await request.body(), matchOf(request));
  if (changed.revision !== undefined) record(parts, changed.before === undefined ? 'create' : 'update', changed);
  // With the links that others have to it, as they are when the change is seen.
  const objects = await parts.registry.current();
  const object = objects.get(kind.name, key) ?? changed.object;
  return { json: viewOf(object, objects), headers: headersOf(kind, object.revision) };
}

async function remove(parts: ApiParts, kind: Kind, key: string, request: ApiRequest): Promise<Answer> {
  const changed = await parts.registry.delete(kind, key, matchOf(request));
  record(parts, 'delete', changed);
  return { json: key };
}

function record(parts: ApiParts, action: Change['action'], { object, before, revision }: Changed): void {
  parts.audit({ action, kind: object.kind, key: object.key, before, after: revision });
}

async function inspect({ registry, store, clusterMode }: ApiParts, path: readonly string[]): Promise<Answer> {
  const [name, key, beyond] = path;
  if (name === undefined || key === undefined || beyond !== undefined) throw notFound();
  if (name === 'endpoints') {
    const [endpoint] = await findEndpoints(store, key);
    if (endpoint === undefined) throw new BerthError('OBJECT_UNKNOWN', 'endpoint not found');
    return { json: { Oper: endpointView(endpoint, await registry.current()) } };
  }
  const kind = kindsByPath.get(name);
  if (kind === undefined) throw notFound();
  const objects = await registry.current();
  const object = find(objects, kind, key);
  const config = viewOf(object, objects);
  const oper = await operOf(store, object, objects, clusterMode);
  const json = oper === undefined ? { Config: config } : { Config: config, Oper: oper };
  return { json, headers: headersOf(kind, object.revision) };
}

async function listEndpoints({ registry, store }: ApiParts): Promise<Answer> {
  const endpoints = await findEndpoints(store, '');
  const objects = await registry.current();
  return { json: endpoints.map((endpoint) => endpointView(endpoint, objects)) };
}

async function status({ registry }: ApiParts): Promise<Answer> {
  const objects = await registry.current();
  const counts = [...kinds.values()].map((kind) => ({
    kind: kind.name,
    path: kind.path,
    count: objects.list(kind.name).length,
    inForce: kind.notInForce === undefined,
    ...(kind.notInForce === undefined ? {} : { remark: kind.notInForce }),
  }));
  return { json: { version, kinds: counts } };
}

async function watch({ store }: ApiParts, request: ApiRequest): Promise<Answer> {
  const { query, signal } = request;
  const path = query.get('kind');
  const kind = path === null ? undefined : kindsByPath.get(path);
  if (path !== null && kind === undefined) {
    throw new BerthError('BAD_REQUEST', `kind must be one of ${[...kindsByPath.keys()].join(', ')}`);
  }
  const tenant = query.get('tenant') ?? undefined;
  const after = integerOf(query, 'after');
  return { lines: linesOf(await watchObjects(store, { kind: kind?.name, after }, signal), tenant) };
}
