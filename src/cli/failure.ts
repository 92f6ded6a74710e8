/** How a command ends. docs/cli.md lists the exit codes. */

export const exitCode = {
  /** Done, and nothing to complain about. */
  ok: 0,
  /** It failed, or it found what should not be: drift, an unhealthy agent, a failed check. */
  failed: 1,
  /** The command line or the configuration was wrong. */
  usage: 2,
  /** No agent answers. */
  unreachable: 3,
  /** What was named does not exist. */
  notFound: 4,
  /** The flags of `netmaster` or `netplugin` were wrong, in Contiv's words (EINVAL). */
  badOldFlags: 22,
  /** Ended with Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** What a command could not do and why, and what the user can do next. */
export class Failure extends Error {
  readonly exitCode: ExitCode;
  readonly next: string;
  /** The code of the catalogue of errors, when the agent gave one. */
  readonly code: string | undefined;

  constructor(message: string, details: { exitCode: ExitCode; next: string; code?: string | undefined }) {
    super(message);
    this.name = 'Failure';
    this.exitCode = details.exitCode;
    this.next = details.next;
    this.code = details.code;
  }
}
