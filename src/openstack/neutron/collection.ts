/** What can be done with each kind of Neutron's objects: list, read, make one or many, change, remove, tag. */

import { z } from 'zod';
import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../bounds.ts';
import { detailsOf } from '../failure.ts';
import type { Session } from '../keystone/session.ts';
import { oneLine } from '../text.ts';

type FilterValue = string | number | boolean;

/**
 * By field; a list means any of its values, and an empty one finds nothing. `tags`, `tags-any`, `not-tags` and `not-tags-any` take
 * lists too, of which `tags` means all of them. For `fixed_ips`: `['subnet_id=…', 'ip_address=…']`, which both must hold.
 */
export type Filter = Readonly<Record<string, FilterValue | readonly FilterValue[]>>;

export interface ListOptions<Field> extends Bounds {
  /** Only these: less to send, and Neutron asks its database for less. */
  readonly fields?: readonly Field[];
  /** How many in one answer; without, as many as Neutron likes. All are listed in any case. */
  readonly pageSize?: number;
}

export interface UpdateOptions extends Bounds {
  /** Only if the object is still of this revision (its `revision_number`); otherwise NEUTRON_CHANGED. */
  readonly ifRevision?: number | undefined;
}

export interface Readable<Item> {
  /** All that fit, in the order of Neutron. */
  list(filter?: Filter, options?: ListOptions<never>): Promise<Item[]>;
  list<Field extends keyof Item & string>(
    filter: Filter,
    options: ListOptions<Field> & { readonly fields: readonly Field[] },
  ): Promise<Pick<Item, Field>[]>;
  /** @returns undefined when there is none, or none that we may see. */
  get(id: string, bounds?: Bounds): Promise<Item | undefined>;
}

export interface Collection<Item, New, Change> extends Readable<Item> {
  create(what: New, bounds?: Bounds): Promise<Item>;
  /** All or none, in one request; the answers are in the order of what was asked for. */
  createMany(what: readonly New[], bounds?: Bounds): Promise<Item[]>;
  /** @throws BerthError NEUTRON_NOT_FOUND; NEUTRON_CHANGED, where another revision was demanded. */
  update(id: string, change: Change, options?: UpdateOptions): Promise<Item>;
  /** @returns whether there was one. @throws BerthError NEUTRON_CHANGED, where another revision was demanded. */
  remove(id: string, options?: UpdateOptions): Promise<boolean>;
}

export interface Taggable {
  /** Exactly these, in one request. At most 50 of 60 characters in old releases, of 255 in new ones. */
  setTags(id: string, tags: readonly string[], bounds?: Bounds): Promise<void>;
  addTag(id: string, tag: string, bounds?: Bounds): Promise<void>;
  /** @returns whether it was there. */
  removeTag(id: string, tag: string, bounds?: Bounds): Promise<boolean>;
}

export interface Kind<Schema extends z.ZodObject> {
  /** In bodies: `{"port": …}`, `{"ports": […]}`. */
  readonly one: string;
  readonly many: string;
  readonly path: string;
  readonly schema: Schema;
}

/** A longer URL is refused by some servers and proxies (eventlet: 8192), so a list of values is then asked for in parts. */
const VALUES_AT_ONCE = 100;

export function readable<Schema extends z.ZodObject>(session: Session, kind: Kind<Schema>): Readable<z.infer<Schema>> {
  type Item = z.infer<Schema>;

  async function page(query: URLSearchParams, item: z.ZodType, bounds: Bounds) {
    const answer = await session.call({ method: 'GET', path: kind.path, query, bounds });
    const link = z.array(z.object({ rel: z.string(), href: z.string() })).optional();
    const shape = z.object({ [kind.many]: z.array(item), [`${kind.many}_links`]: link });
    const body = checked(`GET ${kind.path}`, shape, answer.body);
    const links = body[`${kind.many}_links`] as z.infer<typeof link>;
    const next = links?.find(({ rel }) => rel === 'next')?.href;
    return { items: body[kind.many] as Item[], next };
  }

  async function listAll(filter: Filter, options: ListOptions<string>): Promise<Item[]> {
    const { fields, pageSize, ...bounds } = options;
    const wanted = Object.fromEntries((fields ?? []).map((field) => [field, kind.schema.shape[field]!]));
    const item = fields === undefined ? kind.schema : z.object(wanted);
    const base = queryOf(filter);
    if (base === undefined) return [];
    for (const field of fields ?? []) base.append('fields', field);
    if (pageSize !== undefined) base.set('limit', String(pageSize));
    const all: Item[] = [];
    let marker: string | undefined;
    do {
      const query = new URLSearchParams(base);
      if (marker !== undefined) query.set('marker', marker);
      const { items, next } = await page(query, item, bounds);
      all.push(...items);
      // Only the marker of the link is used: its host is the server's own, which a proxy may stand in front of.
      const following = next === undefined || items.length === 0 ? undefined : markerIn(next);
      if (following !== undefined && following === marker)
        throw new BerthError('OPENSTACK_BAD_ANSWER', `Neutron: GET ${kind.path} answers with the same page again`);
      marker = following;
    } while (marker !== undefined);
    return all;
  }

  return {
    async list(filter: Filter = {}, options: ListOptions<string> = {}): Promise<never[]> {
      const long = Object.entries(filter).find(([, values]) => Array.isArray(values) && values.length > VALUES_AT_ONCE);
      if (long === undefined) return (await listAll(filter, options)) as never[];
      const [name, values] = long as [string, readonly FilterValue[]];
      const found: Item[] = [];
      for (let i = 0; i < values.length; i += VALUES_AT_ONCE)
        found.push(...(await listAll({ ...filter, [name]: values.slice(i, i + VALUES_AT_ONCE) }, options)));
      return found as never[];
    },
    async get(id, bounds = {}) {
      try {
        return await one(session, kind, { method: 'GET', path: `${kind.path}/${segment(id)}`, bounds });
      } catch (error) {
        if (isGone(error)) return undefined;
        throw error;
      }
    },
  };
}

export function collection<Schema extends z.ZodObject, New extends object, Change extends object>(
  session: Session,
  kind: Kind<Schema>,
): Collection<z.infer<Schema>, New, Change> {
  return {
    ...readable(session, kind),
    create: (what, bounds = {}) =>
      one(session, kind, { method: 'POST', path: kind.path, body: { [kind.one]: what }, bounds }),
    async createMany(what, bounds = {}) {
      if (what.length === 0) return [];
      const answer = await session.call({ method: 'POST', path: kind.path, body: { [kind.many]: what }, bounds });
      const shape = z.object({ [kind.many]: z.array(kind.schema).length(what.length) });
      return checked(`POST ${kind.path}`, shape, answer.body)[kind.many] as z.infer<Schema>[];
    },
    update(id, change, { ifRevision, ...bounds } = {}) {
      const path = `${kind.path}/${segment(id)}`;
      const body = { [kind.one]: change };
      if (ifRevision === undefined) return one(session, kind, { method: 'PUT', path, body, bounds });
      // A second one would be refused because of the first.
      return one(session, kind, { method: 'PUT', path, body, headers: ifMatch(ifRevision), repeatable: false, bounds });
    },
    remove: (id, { ifRevision, ...bounds } = {}) => removed(session, `${kind.path}/${segment(id)}`, bounds, ifRevision),
  };
}

export function taggable(session: Session, path: string): Taggable {
  const of = (id: string) => `${path}/${segment(id)}/tags`;
  return {
    async setTags(id, tags, bounds = {}) {
      await session.call({ method: 'PUT', path: of(id), body: { tags }, bounds });
    },
    async addTag(id, tag, bounds = {}) {
      await session.call({ method: 'PUT', path: `${of(id)}/${segment(tag)}`, bounds });
    },
    removeTag: (id, tag, bounds = {}) => removed(session, `${of(id)}/${segment(tag)}`, bounds),
  };
}

/** Also of DELETE (extension `revision-if-match`). */
const ifMatch = (revision: number) => ({ 'If-Match': `revision_number=${revision}` });

/** Asks for one object. */
async function one<Schema extends z.ZodObject>(
  session: Session,
  { one: name, schema }: Kind<Schema>,
  call: Parameters<Session['call']>[0],
): Promise<z.infer<Schema>> {
  const { body } = await session.call(call);
  return checked(`${call.method} ${call.path}`, z.object({ [name]: schema }), body)[name] as z.infer<Schema>;
}

async function removed(session: Session, path: string, bounds: Bounds, ifRevision?: number): Promise<boolean> {
  const headers = ifRevision === undefined ? {} : { headers: ifMatch(ifRevision) };
  try {
    await session.call({ method: 'DELETE', path, bounds, ...headers });
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** An id or a tag as a part of a path. An empty one, or one of dots, would name something else. */
export function segment(text: string): string {
  if (/^\.{0,2}$/.test(text)) throw new BerthError('NEUTRON_INVALID', `'${text}' is not an id`);
  return encodeURIComponent(text);
}

/** @throws BerthError OPENSTACK_BAD_ANSWER for what is not of this form. */
export function checked<Schema extends z.ZodType>(request: string, schema: Schema, body: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new BerthError(
    'OPENSTACK_BAD_ANSWER',
    `Neutron: ${request} answers with what Berth does not understand: ${path.join('.')}: ${oneLine(message, 200)}`,
  );
}

/** That Neutron itself says so, and not a web server on the way. */
function isGone(error: unknown): boolean {
  return error instanceof BerthError && error.code === 'NEUTRON_NOT_FOUND' && detailsOf(error)?.status === 404;
}

/** Undefined when nothing can fit. */
function queryOf(filter: Filter): URLSearchParams | undefined {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    const values = (Array.isArray(value) ? value : [value]) as readonly FilterValue[];
    if (values.length === 0) return undefined;
    // Neutron leaves out a filter without a value, unless it has the extension `empty-string-filtering`, and lists everything.
    if (values.includes(''))
      throw new BerthError('INTERNAL', `a list of Neutron is to be filtered by an empty ${name}`);
    if (/^(?:not-)?tags(?:-any)?$/.test(name)) query.append(name, values.join(','));
    else for (const each of values) query.append(name, String(each));
  }
  return query;
}

function markerIn(href: string): string | undefined {
  const at = href.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : href.slice(at)).get('marker') ?? undefined;
}
