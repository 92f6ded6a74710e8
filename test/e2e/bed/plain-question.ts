/**
 * Asks the multicast DNS group as a program does that knows nothing of multicast DNS (RFC 6762 §6.7), which `dig` is too strict
 * for: it takes no answer from anybody but whom it has asked. Prints the answers, a line each.
 *
 *   node plain-question.ts NAME A|AAAA|PTR [LINK]       with a link: over IPv6
 */

import { createSocket } from 'node:dgram';
import { decodeMessage, encodeMessage, flag, flagsOf, IN, opcode, type } from '../../../src/dns/message.ts';
import { parseName } from '../../../src/dns/name.ts';
import { addressOf, targetOf } from '../../../src/dns/records.ts';
import { formatAddress } from '../../../src/model/address.ts';

const [name = '', kind = 'A', link] = process.argv.slice(2);
const ID = 4242;
const question = { name: parseName(name)!, type: type[kind as 'A' | 'AAAA' | 'PTR'], class: IN };
const sections = { questions: [question], answers: [], authorities: [], additionals: [] };
const bytes = encodeMessage({ id: ID, flags: flagsOf(opcode.query, flag.recursionDesired), ...sections });
const socket = createSocket(link === undefined ? 'udp4' : 'udp6');
const ask = (): void => socket.send(bytes, 5353, link === undefined ? '224.0.0.251' : `ff02::fb%${link}`);
const again = setInterval(ask, 1000);
const late = setTimeout(() => done([]), 6000);

function done(answers: readonly string[]): void {
  clearInterval(again);
  clearTimeout(late);
  socket.close();
  process.stdout.write(answers.map((line) => `${line}\n`).join(''));
}

socket.on('message', (message) => {
  const answer = decodeMessage(message);
  if (answer?.id !== ID || answer.questions.length !== 1) return;
  done(
    answer.answers.map((record) => {
      const address = addressOf(record);
      return address === undefined ? String(targetOf(record)) : formatAddress(address);
    }),
  );
});
ask();
