/** How a command against a master fails: what failed, why, what next, and what kind of failure it is. */

/** `usage`: wrong command line. `io`: a file or the terminal. The others are about the master and its answer. */
export type FailureKind = 'usage' | 'unreachable' | 'denied' | 'notFound' | 'refused' | 'io';

export class MasterFailure extends Error {
  readonly kind: FailureKind;
  readonly next: string | undefined;
  readonly because: string | undefined;
  /** Old users look for the help of the command when they mistyped it. */
  readonly showHelp: boolean;

  constructor(
    kind: FailureKind,
    message: string,
    details: {
      readonly next?: string | undefined;
      readonly cause?: string | undefined;
      readonly showHelp?: boolean;
    } = {},
  ) {
    super(message);
    this.name = 'MasterFailure';
    this.kind = kind;
    this.next = details.next;
    this.because = details.cause;
    this.showHelp = details.showHelp === true;
  }
}

/** Wrong arguments of a command. */
export function misuse(
  message: string,
  details: { readonly next?: string; readonly showHelp?: boolean } = {},
): MasterFailure {
  return new MasterFailure('usage', message, details);
}
