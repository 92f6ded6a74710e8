/** docs/kuryr-conf.md: every key of kuryr-libnetwork's configuration, and what Berth makes of it. */

import { type ConfKey, confSections } from '../../src/openstack/conf/keys.ts';
import { generatedNote, markdownTable } from './markdown.ts';

export function kuryrConfPage(): string {
  const tables = Object.entries(confSections).map(([section, keys]) => {
    const rows = keys.filter(({ noEffect }) => noEffect === undefined).map(row);
    const idle = Map.groupBy(
      keys.filter(({ noEffect }) => noEffect !== undefined),
      ({ noEffect }) => noEffect!,
    );
    const without = [...idle].map(([why, group]) => `- ${group.map(({ name }) => `\`${name}\``).join(', ')}: ${why}.`);
    return `## [${section}]

${markdownTable(['key', 'default', 'value', 'meaning'], rows)}${
  without.length === 0 ? '' : `\nWithout effect, and told so:\n\n${without.join('\n')}\n`
}`;
  });
  return `${generatedNote}
# kuryr.conf

An existing \`/etc/kuryr/kuryr.conf\` is read as it is, by the rules of oslo.config:

- Sections, \`key = value\` or \`key: value\`; hyphens and underscores in keys are the same. A line that begins with white space goes on with
  the value before. Comments are lines that begin with \`#\` or \`;\`; behind a value, they belong to it.
- \`$key\` and \`\${section.key}\` stand for the value of another key; \`$$\` is a dollar sign.
- \`--config-file\` may be given several times, and \`--config-dir\` adds all \`*.conf\` of a folder, by name; what is read later counts. Without
  them: \`~/.kuryr/kuryr.conf\`, \`~/kuryr.conf\`, \`/etc/kuryr/kuryr.conf\`, the first that there is, and \`kuryr.conf.d\` beside it.
- A variable such as \`OS_NEUTRON__AUTH_URL\` counts before all files. \`OS_KURYR_URI\` and \`CAPABILITY_SCOPE\` count where no file says anything.

A wrong value stops the start, with file, line, section, key, and what is expected. A key that is not known, or that has no effect here, is
told and passed over.

${tables.join('\n')}`;
}

function row({ name, aliases, default: standard, variable, type, help }: ConfKey): string[] {
  const names = [name, ...(aliases ?? [])].map((each) => `\`${each}\``).join(', formerly ');
  const from = variable === undefined ? '' : `, or the variable \`${variable}\``;
  return [names, standard === undefined || standard === '' ? '' : `\`${standard}\`${from}`, type.expected, help];
}
