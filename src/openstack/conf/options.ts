/** The values of options, from what the sources say: the last that counts, references replaced, read as what they should be. */

import type { Assignment, Place } from './ini.ts';
import { type ConfKey, confSections } from './keys.ts';
import { didYouMean, type ValueType } from './values.ts';

export interface Problem {
  /** Undefined where something is missing. */
  readonly place: Place | undefined;
  readonly section: string;
  readonly key: string | undefined;
  readonly sentence: string;
}

export interface Given {
  readonly text: string;
  readonly place: Place | undefined;
}

export interface Options {
  /** What is given, or what stands for it. Undefined when there is neither. What is wrong goes to `problems`. */
  value<Value>(section: string, key: string): Value | undefined;
  /** Where it is given; undefined when it is not. */
  given(section: string, key: string): Given | undefined;
  readonly problems: Problem[];
}

/** Deeper references refer to themselves. */
const DEEPEST = 20;

/**
 * @param sections which keys may stand where: `confSections`, and where `auth_section` leads to.
 */
export function createOptions(
  assignments: readonly Assignment[],
  sections: Readonly<Record<string, readonly ConfKey[]>>,
  env: Readonly<Record<string, string | undefined>>,
): Options {
  const problems: Problem[] = [];
  const table = new Map<string, Given>();
  for (const { section, key, value, place } of assignments) table.set(`${section}.${key}`, { text: value, place });

  const keyIn = (section: string, name: string) =>
    sections[section]?.find((key) => key.name === name || key.aliases?.includes(name));

  function given(section: string, name: string): Given | undefined {
    const key = keyIn(section, name);
    for (const alias of [name, ...(key?.aliases ?? [])]) {
      const found = table.get(`${section}.${alias}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  function raw(section: string, key: ConfKey): Given | undefined {
    const found = given(section, key.name);
    if (found !== undefined) return found;
    const standard = (key.variable === undefined ? undefined : env[key.variable]) ?? key.default;
    const place =
      key.variable !== undefined && env[key.variable] !== undefined
        ? { file: key.variable, line: undefined }
        : undefined;
    return standard === undefined ? undefined : { text: standard, place };
  }

  /** Replaces `$key`, `${key}` and `${section.key}`; `$$` and `\$` stand for a dollar sign (oslo_config.cfg, `_substitute`). */
  function expand(section: string, { text }: Given, depth: number): string | { readonly unknown: string } {
    let unknown: string | undefined;
    const expanded = text
      .replaceAll('\\$', '$$$$')
      .replaceAll(/\$(?:(\$)|([_a-z][._a-z0-9]*)|\{([_a-z][._a-z0-9]*)\})/gi, (whole, dollar, plain, braced) => {
        if (dollar !== undefined) return '$';
        const name: string = plain ?? braced;
        const [first, ...rest] = name.split('.');
        const key = rest.length > 0 ? keyIn(first!, rest.join('.')) : keyIn(section, name);
        const home = rest.length > 0 ? first! : section;
        const target = key !== undefined ? ([home, key] as const) : general(name);
        if (target === undefined || depth >= DEEPEST) {
          unknown ??= whole;
          return '';
        }
        const found = raw(target[0], target[1]);
        const inner = found === undefined ? '' : expand(target[0], found, depth + 1);
        if (typeof inner === 'string') return inner;
        unknown ??= inner.unknown;
        return '';
      });
    return unknown === undefined ? expanded : { unknown };
  }

  function general(name: string): readonly [string, ConfKey] | undefined {
    const key = keyIn('DEFAULT', name);
    return key === undefined ? undefined : ['DEFAULT', key];
  }

  function read<Value>(section: string, name: string): Value | undefined {
    const key = keyIn(section, name)!;
    const found = raw(section, key);
    if (found === undefined) return undefined;
    const expanded = expand(section, found, 0);
    const complain = (sentence: string): undefined => {
      problems.push({ place: found.place, section, key: name, sentence });
    };
    if (typeof expanded !== 'string')
      return complain(`'${expanded.unknown}' refers to no key; for a dollar sign, write $$`);
    const type = key.type as ValueType<Value>;
    // oslo.config takes an empty line of the file for nothing where there is nothing to take its place.
    if (expanded === '' && key.default === undefined) return undefined;
    const value = type.parse(expanded);
    if (value !== undefined) return value;
    const hint = /\s[#;]/.test(expanded) ? '; a comment must stand on a line of its own' : meant(type, expanded);
    return complain(
      type.secret === true ? `it is ${type.expected}` : `it is ${type.expected}, not '${expanded}'${hint}`,
    );
  }

  const known = new Map<string, unknown>();
  return {
    problems,
    given,
    value<Value>(section: string, name: string): Value | undefined {
      const id = `${section}.${name}`;
      // Each mistake is told once.
      if (!known.has(id)) known.set(id, read(section, name));
      return known.get(id) as Value | undefined;
    },
  };
}

/** Of a choice, the one that was meant. */
function meant(type: ValueType<unknown>, text: string): string {
  const choices = /^one of ([\w, ]+)/.exec(type.expected)?.[1]?.split(', ') ?? [];
  return didYouMean(text, choices);
}

/** What stands in the files and is not read: of an unknown name, of no effect, or overruled. */
export interface Remark {
  readonly place: Place;
  readonly section: string;
  readonly key: string | undefined;
  readonly kind: 'unknown' | 'no effect' | 'overruled' | 'careless';
  readonly sentence: string;
}

/** @param sections as for `createOptions`. */
export function remarksOn(
  assignments: readonly Assignment[],
  sections: Readonly<Record<string, readonly ConfKey[]>>,
): Remark[] {
  const remarks: Remark[] = [];
  const seen = new Map<string, Place>();
  const strange = new Set<string>();
  for (const { section, key, place } of assignments) {
    const keys = sections[section];
    const remark = (kind: Remark['kind'], sentence: string) => remarks.push({ place, section, key, kind, sentence });
    if (keys === undefined) {
      // What else the environment holds of that form is for other programs.
      if (strange.has(section) || place.line === undefined) continue;
      strange.add(section);
      const hint = didYouMean(section, Object.keys(confSections));
      remarks.push({
        place,
        section,
        key: undefined,
        kind: 'unknown',
        sentence: `nothing reads the section [${section}]${hint}`,
      });
      continue;
    }
    const found = keys.find(({ name, aliases }) => name === key || aliases?.includes(key));
    if (found === undefined) {
      if (place.line !== undefined) remark('unknown', `there is no such key${elsewhere(key, section, keys)}`);
      continue;
    }
    if (found.noEffect !== undefined) remark('no effect', `it has no effect: ${found.noEffect}`);
    const id = `${section}.${key}`;
    const before = seen.get(id);
    if (before !== undefined && before.file === place.file && place.line !== undefined)
      remark('overruled', `it stands in line ${before.line} too; this one counts`);
    seen.set(id, place);
  }
  return remarks;
}

function elsewhere(key: string, section: string, keys: readonly ConfKey[]): string {
  for (const [name, others] of Object.entries(confSections)) {
    if (name !== section && others.some((other) => other.name === key))
      return ` in [${section}]; it belongs into [${name}]`;
  }
  return didYouMean(
    key,
    keys.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]),
  );
}
