/** Runs a command of netctl as one of `berth`: our tables, our errors, our exit codes. */

import { type ExitCode, exitCode, Failure } from './failure.ts';
import { connectionFrom } from './netctl/connection.ts';
import { credentialsFile, readToken } from './netctl/credentials.ts';
import { type FailureKind, MasterFailure } from './netctl/failure.ts';
import { flagsFrom, readNumber, type Values } from './netctl/flags.ts';
import { httpMaster } from './netctl/http-master.ts';
import { type CommandSpec, flagsOf, type Session as MasterSession } from './netctl/spec.ts';
import type { Session } from './session.ts';
import { table } from './table.ts';

type Options = Readonly<Record<string, unknown>>;

/**
 * @param otherwise what may have been meant, when no master answers or it does not know the name.
 * @throws Failure
 */
export async function runSpec(
  spec: CommandSpec,
  session: Session,
  args: readonly (string | undefined)[],
  options: Options,
  otherwise?: string,
): Promise<ExitCode> {
  try {
    await run(
      spec,
      session,
      args.filter((arg) => arg !== undefined),
      options,
    );
    return exitCode.ok;
  } catch (error) {
    throw error instanceof MasterFailure ? asFailure(error, otherwise) : error;
  }
}

async function run(spec: CommandSpec, session: Session, args: readonly string[], options: Options): Promise<void> {
  const { stdout, stderr } = session;
  const connection = connectionFrom(connectionValues(options), {});
  let kept: Promise<string | undefined> | undefined;
  const readKept = (): Promise<string | undefined> => {
    kept ??= readToken(credentialsFile(process.env));
    return kept;
  };
  const master = httpMaster(connection, {
    token: async () => connection.token ?? (await readKept()),
    watch: (address, work) => session.progress(`waiting for ${address}`, work),
    notice: (text) => stderr.write(`note: ${text}\n`),
  });
  const { json } = session.options;
  const work: MasterSession = {
    master,
    flags: flagsFrom(flagsOf(spec), flagValues(spec, options)),
    json,
    print: (text) => stdout.write(text),
    say: (text) => {
      if (!json) stdout.write(text);
    },
    table: ({ columns }, objects) =>
      stdout.write(
        table(
          objects,
          columns.map(({ title, text }) => ({ title: title.toUpperCase(), text })),
        ),
      ),
  };
  try {
    await spec.run(work, args);
  } finally {
    master.close();
  }
}

/** Our options by netctl's names. */
function connectionValues({ master, token, cacert, insecure }: Options): Values {
  const values = Object.entries({ netmaster: master, token, cacert, insecure });
  return new Map(values.filter(([, value]) => value !== undefined)) as Values;
}

function flagValues(spec: CommandSpec, options: Options): Values {
  const values: Values = new Map();
  for (const { names, kind } of spec.flags) {
    const [name] = names as [string];
    const given = options[name.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())];
    if (given === undefined) continue;
    values.set(name, kind === 'number' ? readNumber(name, given as string) : (given as string));
  }
  return values;
}

const exits: Readonly<Record<FailureKind, ExitCode>> = {
  usage: exitCode.usage,
  unreachable: exitCode.unreachable,
  notFound: exitCode.notFound,
  denied: exitCode.failed,
  refused: exitCode.failed,
  io: exitCode.failed,
};

function asFailure({ kind, message, because, next }: MasterFailure, otherwise: string | undefined): Failure {
  const why = because === undefined ? '' : `\n${because}`;
  const aside = otherwise !== undefined && (kind === 'unreachable' || kind === 'notFound') ? `\n${otherwise}` : '';
  const advice = (next ?? 'See how the command is used with --help.') + aside;
  return new Failure(inOurWords(message + why), {
    exitCode: exits[kind],
    next: inOurWords(advice).replaceAll('\n', '\n        '),
  });
}

/** The commands and options that are called otherwise here. */
function inOurWords(text: string): string {
  return text
    .replaceAll('netctl network ls -a', 'berth network ls --cluster --all')
    .replaceAll('netctl network inspect', 'berth network inspect --cluster')
    .replaceAll(/netctl (?!--token)/g, 'berth ')
    .replaceAll('NETCTL_TOKEN', 'BERTH_TOKEN')
    .replaceAll('NETCTL_CACERT', 'BERTH_CACERT')
    .replaceAll('NETMASTER', 'BERTH_MASTER')
    .replaceAll('--netmaster', '--master');
}
