/** `berth ping`: how one container or host is reached from another. */

import type { EchoView, HopView, PartyView, PingView } from '../agent/api.ts';
import { type ExitCode, exitCode } from './failure.ts';
import type { Session } from './session.ts';
import { type Column, table } from './table.ts';

/** Milliseconds: both hosts are asked, and each has its own patience. */
const PATIENCE = 60_000;

export async function ping(session: Session, args: readonly unknown[]): Promise<ExitCode> {
  const [from, to] = args as [string, string];
  const asking = session.client.post<PingView>('/v1/ping', { from, to }, { timeout: PATIENCE });
  const view = await session.progress(`asking ${from} for the way to ${to}`, asking);
  session.show(view, pingText);
  return view.problems.length === 0 ? exitCode.ok : exitCode.failed;
}

const called = ({ kind, host, name, network }: PartyView): string =>
  kind === 'host' ? `host ${name}` : `${host}/${name}${network === undefined ? '' : ` on ${network}`}`;

const columns: readonly Column<HopView & { readonly mark: string }>[] = [
  { title: '', text: ({ mark }) => mark },
  { title: 'HOST', text: ({ host }) => host },
  { title: 'LINK', text: ({ kind }) => kind },
  { title: 'NAME', text: ({ name }) => name },
  { title: 'MTU', text: ({ mtu }) => String(mtu ?? ''), right: true },
  { title: '', text: ({ problem, detail }) => problem ?? detail ?? ' ' },
];

/** What was found, for people: the answer first, then the way, then what is wrong. */
export function pingText(view: PingView): string {
  const { from, to, echoes, path, problems } = view;
  const hops = path.map((hop) => ({ ...hop, mark: hop.problem === undefined ? ' ' : '!' }));
  return [
    `${called(from)} → ${called(to)}\n`,
    ...echoes.map((echo) => `  ${echoText(echo)}\n`),
    '\n',
    table(hops, columns),
    ...(problems.length === 0 ? [] : ['\n', ...problems.map((problem) => `! ${problem}\n`)]),
  ].join('');
}

function echoText({ address, sent, received, rtt, mtu }: EchoView): string {
  if (rtt === undefined) return `${address}: no answer to ${sent} packets`;
  const lost = received === sent ? '' : `, ${sent - received} of ${sent} packets lost`;
  const largest = mtu === undefined ? '' : `, largest packet ${mtu} bytes`;
  return `${address}: round trip ${rtt.median} ms (${rtt.least} to ${rtt.most})${largest}${lost}`;
}
