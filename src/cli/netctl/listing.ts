/** The commands that most nouns have alike: ls, inspect, rm. */

import type { Fields } from './master.ts';
import { allFlag, type CommandSpec, jsonFlag, quietFlag, type Session, type Table, tenantFlag } from './spec.ts';
import { json, text } from './text.ts';

/** A table whose columns are what it says. The dashes are part of what scripts have learnt to skip. */
export function plainTable(
  columns: readonly (readonly [title: string, dashes: string, text: (object: Fields) => string])[],
  /** Contiv ends the lines of some tables with a tab. */
  end: { readonly heading?: string; readonly row?: string } = {},
): Table {
  return {
    columns: columns.map(([title, , text]) => ({ title: title.trim(), text })),
    lines: (objects) => {
      const heading = [columns.map(([title]) => title), columns.map(([, dashes]) => dashes)];
      return [
        ...heading.map((cells) => `${cells.join('\t')}${end.heading ?? ''}\n`),
        ...objects.map((object) => `${columns.map(([, , text]) => text(object)).join('\t')}${end.row ?? ''}\n`),
      ].join('');
    },
  };
}

export interface ObjectKind {
  /** In the path of the API: `networks`. */
  readonly type: string;
  /** The field with the name that users know it by. */
  readonly nameField: string;
  readonly table: Table;
  /** The objects belong to tenants. */
  readonly ofTenant: boolean;
}

/** Lists in the way that was asked for: JSON, names, or a table. */
export function show(session: Session, { nameField, table }: ObjectKind, objects: readonly Fields[]): void {
  if (session.json) session.print(json(objects));
  else if (session.flags.boolean('quiet'))
    session.print(objects.map((object) => `${text(object, nameField)}\n`).join(''));
  else session.table(table, objects);
}

export function listCommand(
  kind: ObjectKind,
  usage: string,
  more: Pick<CommandSpec, 'flags' | 'argsUsage'> = {
    flags: [tenantFlag, allFlag, jsonFlag, quietFlag],
    argsUsage: ' ',
  },
): CommandSpec {
  return {
    name: 'ls',
    aliases: ['list'],
    usage,
    ...more,
    args: [],
    run: async (session) => {
      const tenant = session.flags.text('tenant');
      const all = session.flags.boolean('all');
      // A tenant that does not exist would look like one without objects.
      if (kind.ofTenant && !(all && !session.flags.given('tenant'))) await session.master.get('tenants', [tenant]);
      const objects = await session.master.list(kind.type, kind.ofTenant && !all ? tenant : undefined);
      show(session, kind, kind.ofTenant && !all ? objects.filter((object) => object.tenantName === tenant) : objects);
    },
  };
}

/** Prints the configuration and the state of one object; always as JSON. */
export async function inspect(session: Session, type: string, key: readonly string[]): Promise<void> {
  session.print(json(await session.master.inspect(type, key)));
}

/** What a change has made, for those who asked for JSON. */
export function answer(session: Session, value: unknown): void {
  if (session.json) session.print(json(value));
}
