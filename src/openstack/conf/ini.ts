/** Files as oslo.config writes and reads them (oslo_config/iniparser.py), which is not what other INI readers make of them. */

export interface Place {
  /** A path; of a variable of the environment its name. */
  readonly file: string;
  /** From 1; undefined for the environment. */
  readonly line: number | undefined;
}

export interface Assignment {
  readonly section: string;
  /** With underscores: oslo.config takes hyphens for the same. */
  readonly key: string;
  readonly value: string;
  readonly place: Place;
}

export interface IniProblem {
  readonly place: Place;
  /** What is wrong, in words that follow the place. */
  readonly sentence: string;
}

export interface Ini {
  readonly assignments: readonly Assignment[];
  readonly problems: readonly IniProblem[];
}

/**
 * Reads `key = value` and `key: value` under `[section]`. Lines that begin with `#` or `;` are comments, and nothing else is: a `#` behind
 * a value belongs to it. A line that begins with white space goes on with the value of the line before. One pair of quotes around a
 * value is taken off.
 */
export function parseIni(text: string, file: string): Ini {
  const assignments: Assignment[] = [];
  const problems: IniProblem[] = [];
  let section: string | undefined;
  let open: { key: string; values: string[]; line: number } | undefined;
  const close = (): void => {
    if (open === undefined) return;
    const place = { file, line: open.line };
    if (section === undefined) problems.push({ place, sentence: `'${open.key}' stands before the first [section]` });
    else assignments.push({ section, key: open.key, value: open.values.join('\n'), place });
    open = undefined;
  };
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const content = raw.trimEnd();
    const place = { file, line: index + 1 };
    if (/^[ \t]/.test(content)) {
      if (open === undefined)
        problems.push({ place, sentence: 'it goes on with a value, but there is none before it' });
      else open.values.push(content.trimStart());
      continue;
    }
    close();
    if (content === '' || content.startsWith('#') || content.startsWith(';')) continue;
    if (content.startsWith('[')) {
      const name = /^\[(.+)\]$/.exec(content)?.[1];
      if (name === undefined) problems.push({ place, sentence: `'${content}' is not a section, such as [neutron]` });
      else section = sectionName(name);
      continue;
    }
    const at = content.search(/[:=]/);
    const key = content.slice(0, at).trim();
    if (at < 0) problems.push({ place, sentence: "there is neither '=' nor ':' in it" });
    else if (key === '') problems.push({ place, sentence: 'there is no key before the value' });
    else open = { key: keyName(key), values: [unquoted(content.slice(at + 1).trim())], line: index + 1 };
  }
  close();
  return { assignments, problems };
}

/** oslo.config takes the case of a section for nothing, but for DEFAULT. */
export function sectionName(name: string): string {
  return name === 'DEFAULT' ? name : name.toLowerCase();
}

export function keyName(name: string): string {
  return name.replaceAll('-', '_');
}

function unquoted(value: string): string {
  const quoted = value.length > 0 && /^["']/.test(value) && value.at(0) === value.at(-1);
  return quoted ? value.slice(1, -1) : value;
}
