/** Objects as Contiv's API shows them, in the order of Go's generated structures: key, fields by name, link-sets, links. */

import type { ClusterObject, Objects } from './kind.ts';
import { kindOf, references, targetsOf } from './kinds.ts';

interface Link {
  readonly type: string;
  readonly key: string;
}

export type ObjectView = Readonly<Record<string, unknown>>;

/** An object for JSON. Fields with the zero value of their type are left out, as Go's `omitempty` does. */
export function viewOf(object: ClusterObject, objects: Objects): ObjectView {
  const kind = kindOf(object.kind);
  const { links, linkSets } = linksOf(object, objects);
  return {
    key: object.key,
    ...configView(object),
    ...(kind.linkSets ? { 'link-sets': sortKeys(linkSets) } : {}),
    ...(kind.links.length > 0 ? { links: sortKeys(links) } : {}),
  };
}

/** The fields that are set. */
export function configView({ config }: Pick<ClusterObject, 'config'>): ObjectView {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) =>
      Array.isArray(value) ? value.length > 0 : value !== '' && value !== 0,
    ),
  );
}

function linksOf(object: ClusterObject, objects: Objects) {
  const kind = kindOf(object.kind);
  const links: Record<string, Link | object> = Object.fromEntries(kind.links.map((name) => [name, {}]));
  const linkSets: Record<string, Record<string, Link>> = {};
  const add = (name: string, link: Link) => {
    if (kind.links.includes(name)) links[name] = link;
    else linkSets[name] = { ...linkSets[name], [link.key]: link };
  };
  for (const reference of references) {
    const { from, to, shown, back } = reference;
    if (from === object.kind && shown !== undefined) {
      for (const { key } of targetsOf(reference, object.config)) add(shown, { type: to, key });
    }
    if (to !== object.kind || back === undefined) continue;
    const by = objects.referring(reference, object.key).map(({ key }): Link => ({ type: from, key }));
    if (typeof back !== 'string') {
      const [first] = by;
      if (first !== undefined) links[back.link] = first;
    } else if (by.length > 0) {
      linkSets[back] = { ...linkSets[back], ...Object.fromEntries(by.map((link) => [link.key, link])) };
    }
  }
  for (const [name, set] of Object.entries(linkSets)) linkSets[name] = sortKeys(set);
  return { links, linkSets };
}

function sortKeys<Value>(record: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
