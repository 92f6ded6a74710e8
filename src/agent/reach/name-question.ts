/** A question for a container's name, as a program in another container would ask it, and what was answered. Pure. */

import { decodeMessage, encodeMessage, flag, flagsOf, IN, opcode, rcode, rcodeOf, type } from '../../dns/message.ts';
import { parseName } from '../../dns/name.ts';
import type { QuestionAnswer } from '../../kernel/reach/reach.ts';
import { addressFromBytes, formatAddress } from '../../model/address.ts';
import type { ReachTargetView } from '../api.ts';

/** Of its IPv4 address, or of the IPv6 address where it has no other. Undefined for what is no name. */
export function nameQuestion(
  name: string,
  addresses: readonly string[],
): { readonly name: string; readonly payload: Uint8Array } | undefined {
  const asked = parseName(name);
  if (asked === undefined || addresses.length === 0) return undefined;
  const wanted = addresses.some((text) => !text.includes(':')) ? type.A : type.AAAA;
  return {
    name,
    payload: encodeMessage({
      id: Math.floor(Math.random() * 0x10000),
      flags: flagsOf(opcode.query, flag.recursionDesired),
      questions: [{ name: asked, type: wanted, class: IN }],
      answers: [],
      authorities: [],
      additionals: [],
    }),
  };
}

const withoutAnswer = (code: number): string =>
  code === rcode.noError || code === rcode.noSuchName
    ? 'there is no such name'
    : `the resolver of the container cannot tell (code ${code})`;

/** @param addresses one of which is to be found. */
export function nameAnswer(
  { payload, obstacles }: QuestionAnswer,
  addresses: readonly string[],
): NonNullable<ReachTargetView['name']> {
  const message = payload === undefined ? undefined : decodeMessage(payload);
  if (message === undefined) {
    const why = obstacles.length === 0 ? 'does not answer' : `cannot be asked (${obstacles[0]!.code})`;
    return { found: [], right: false, problem: `the resolver of the container ${why}` };
  }
  const found = message.answers
    .filter((record) => record.type === type.A || record.type === type.AAAA)
    .map(({ data }) => formatAddress(addressFromBytes(data)));
  const right = found.some((text) => addresses.includes(text));
  if (right) return { found, right };
  return {
    found,
    right,
    problem: found.length > 0 ? `it leads to ${found.join(', ')}` : withoutAnswer(rcodeOf(message)),
  };
}
