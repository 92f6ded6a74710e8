import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import { decodeMessage, encodeMessage, flag, has, IN, type Message, type ResourceRecord, type } from '../message.ts';
import { type DomainName, parseName, reverseName } from '../name.ts';
import { addressOf, addressRecord, pointerRecord, targetOf } from '../records.ts';
import { TOP_BIT } from './answers.ts';
import type { Claim } from './claim.ts';
import type { Peer } from './peer.ts';
import { createResponder, type Responder } from './responder.ts';

interface Heard {
  readonly from: string;
  readonly at: number;
  readonly message: Message;
  readonly to?: string;
}

const name = (text: string): DomainName => parseName(text)!;
const peer = (key: string, port = 5353): Peer => ({ address: parseAddress('192.0.2.1')!, port, key });
const claim = (label: string, address: string, services: Claim['services'] = []): Claim => ({
  id: `${label} ${address}`,
  label,
  addresses: address.split(' ').map((text) => parseAddress(text)!),
  services,
});

/** A link with a clock of its own: what is sent is heard by all, the sender too, when time goes on. */
function link() {
  let now = 0;
  const timers = new Set<{ readonly at: number; readonly work: () => void }>();
  const members = new Map<string, Responder>();
  const heard: Heard[] = [];
  const events: string[] = [];

  const after = (milliseconds: number, work: () => void) => {
    const timer = { at: now + milliseconds, work };
    timers.add(timer);
    return () => timers.delete(timer);
  };
  function send(from: string, bytes: Uint8Array, to?: string): void {
    const message = decodeMessage(bytes)!;
    heard.push({ from, at: now, message, ...(to === undefined ? {} : { to }) });
    after(1, () => {
      if (to === undefined) for (const member of members.values()) member.hear(bytes, peer(from));
      else members.get(to)?.hear(bytes, peer(from));
    });
  }
  return {
    heard,
    events,
    send,
    join(who: string, random = 0): Responder {
      const responder = createResponder(
        { multicast: (bytes) => send(who, bytes), unicast: (bytes, to) => send(who, bytes, to.key) },
        { now: () => now, after, random: () => random },
        {
          held: (_id, label) => events.push(`${who} holds ${label}`),
          conflict: (_id, label, next) => events.push(`${who} has ${next} for ${label}`),
        },
      );
      members.set(who, responder);
      return responder;
    },
    leave: (who: string) => members.delete(who),
    pass(milliseconds: number): void {
      const end = now + milliseconds;
      for (;;) {
        const next = [...timers].toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        timers.delete(next);
        now = next.at;
        next.work();
      }
      now = end;
    },
    /** Asks, and gives what came within a second and a half. */
    ask(
      kind: number,
      of: string,
      how: { port?: number; known?: ResourceRecord[]; unicast?: boolean; truncated?: boolean } = {},
    ) {
      const before = heard.length;
      const question = { name: name(of), type: kind, class: how.unicast ? IN | TOP_BIT : IN };
      const bytes = encodeMessage({
        id: how.port === undefined ? 0 : 99,
        flags: how.truncated ? flag.truncated : 0,
        questions: [question],
        answers: how.known ?? [],
        authorities: [],
        additionals: [],
      });
      for (const member of members.values()) member.hear(bytes, peer('asker', how.port));
      this.pass(1500);
      return heard.slice(before);
    },
  };
}

const addresses = ({ message }: Heard): string[] =>
  message.answers.flatMap((record) => {
    const address = addressOf(record);
    return address === undefined ? [] : [String(address.value)];
  });

test('a name is probed for three times, announced twice, and answered for', () => {
  const on = link();
  const a = on.join('a');
  a.set([claim('web', '192.0.2.9 2001:db8::9')]);
  on.pass(700);
  assert.deepEqual(
    on.heard.map(({ at, message }) => [at, has(message, flag.response), message.authorities.length]),
    [
      [0, false, 2],
      [250, false, 2],
      [500, false, 2],
    ],
  );
  assert.equal(
    on.ask(type.A, 'web.local').length,
    2,
    'nothing is answered before it is announced: these are the announcements',
  );
  assert.deepEqual(on.events, ['a holds web']);
  const [announced] = on.heard.filter(({ message }) => has(message, flag.response));
  assert.ok(announced!.message.answers.every((record) => record.class === (IN | TOP_BIT) && record.ttl === 120));
  assert.deepEqual(
    announced!.message.answers.map((record) => record.type).toSorted((x, y) => x - y),
    [1, 12, 12, 28],
  );
  on.pass(2000);

  const [answer] = on.ask(type.A, 'WEB.local');
  assert.deepEqual(addresses(answer!), [String(0xc0000209)]);
  assert.deepEqual(
    answer!.message.additionals.map((record) => record.type),
    [type.AAAA],
  );
  const [reverse] = on.ask(type.PTR, reverseName(parseAddress('192.0.2.9')!));
  assert.equal(targetOf(reverse!.message.answers[0]!), 'web.local');
  const [negative] = on.ask(type.TXT, 'web.local');
  assert.deepEqual(
    negative!.message.answers.map((record) => record.type),
    [type.NSEC],
  );
  assert.deepEqual(on.ask(type.A, 'other.local'), []);
});

test('who knows the answer gets none, unless it is about to forget it', () => {
  const on = link();
  on.join('a').set([claim('web', '192.0.2.9')]);
  on.pass(5000);
  const known = (ttl: number) => [addressRecord(name('web.local'), parseAddress('192.0.2.9')!, ttl)];
  assert.equal(on.ask(type.A, 'web.local', { known: known(60) }).length, 0);
  assert.equal(on.ask(type.A, 'web.local', { known: known(59) }).length, 1);
  assert.equal(
    on.ask(type.A, 'web.local', { known: [addressRecord(name('web.local'), parseAddress('192.0.2.8')!, 120)] }).length,
    1,
  );
});

test('what an asker knows may come in further messages', () => {
  const on = link();
  const a = on.join('a');
  a.set([claim('web', '192.0.2.9')]);
  on.pass(5000);
  const more = encodeMessage({
    id: 0,
    flags: 0,
    questions: [],
    answers: [addressRecord(name('web.local'), parseAddress('192.0.2.9')!, 120)],
    authorities: [],
    additionals: [],
  });
  const before = on.heard.length;
  const ask = encodeMessage({
    id: 0,
    flags: flag.truncated,
    questions: [{ name: name('web.local'), type: type.A, class: IN }],
    answers: [],
    authorities: [],
    additionals: [],
  });
  a.hear(ask, peer('asker'));
  on.pass(100);
  a.hear(more, peer('asker'));
  on.pass(1000);
  assert.equal(on.heard.length, before);
  assert.equal(on.ask(type.A, 'web.local', { truncated: true }).length, 1);
});

test('by unicast where that is asked for and everybody has heard it lately, and to those who know no multicast DNS', () => {
  const on = link();
  on.join('a').set([claim('web', '192.0.2.9')]);
  on.pass(5000);
  const [direct] = on.ask(type.A, 'web.local', { unicast: true });
  assert.equal(direct!.to, 'asker');
  on.pass(31_000);
  assert.equal(on.ask(type.A, 'web.local', { unicast: true })[0]!.to, undefined);
  const [legacy] = on.ask(type.A, 'web.local', { port: 40_000 });
  assert.equal(legacy!.to, 'asker');
  assert.equal(legacy!.message.id, 99);
  assert.equal(legacy!.message.questions.length, 1);
  assert.deepEqual(
    legacy!.message.answers.map((record) => [record.class, record.ttl]),
    [[IN, 10]],
  );
});

test('who comes second takes another name, and the third one after that', () => {
  const on = link();
  const [a, b, c] = [on.join('a'), on.join('b'), on.join('c')];
  a.set([claim('web', '192.0.2.1')]);
  on.pass(5000);
  b.set([claim('web', '192.0.2.2')]);
  on.pass(5000);
  c.set([claim('web', '192.0.2.3')]);
  on.pass(5000);
  assert.deepEqual(on.events, [
    'a holds web',
    'b has web-2 for web',
    'b holds web-2',
    'c has web-2 for web',
    'c has web-3 for web-2',
    'c holds web-3',
  ]);
  assert.deepEqual(
    on.ask(type.A, 'web-3.local').map(({ from }) => from),
    ['c'],
  );
});

test('of two that probe at once exactly one gets the name', () => {
  const on = link();
  on.join('a').set([claim('web', '192.0.2.1')]);
  on.join('b').set([claim('web', '192.0.2.2')]);
  on.pass(10_000);
  // The greater address wins (§8.2); the other finds it defended a second later.
  assert.deepEqual(on.events, ['b holds web', 'a has web-2 for web', 'a holds web-2']);
});

test('two claims here get two names, and the one that was held before is taken again', () => {
  const on = link();
  const a = on.join('a');
  const [first, second] = [claim('web', '192.0.2.1'), claim('Web', '192.0.2.2')];
  a.set([first, second]);
  on.pass(5000);
  assert.deepEqual(
    a.holdings().map(({ label, state }) => [label, state]),
    [
      ['web', 'held'],
      ['Web-2', 'held'],
    ],
  );
  a.close();
  on.leave('a');
  const again = on.join('a');
  again.set([second], () => 'Web-2');
  on.pass(5000);
  assert.deepEqual(
    again.holdings().map(({ label }) => label),
    ['Web-2'],
  );
  again.set([second, first]);
  on.pass(5000);
  assert.deepEqual(
    again.holdings().map(({ label }) => label),
    ['Web-2', 'web'],
  );
});

test('a name that goes is said goodbye to, and one with another address is corrected', () => {
  const on = link();
  const a = on.join('a');
  a.set([claim('web', '192.0.2.1'), claim('db', '192.0.2.2')]);
  on.pass(5000);
  let before = on.heard.length;
  a.set([{ ...claim('web', '192.0.2.7'), id: 'web 192.0.2.1' }, claim('db', '192.0.2.2')]);
  on.pass(100);
  const said = on.heard.slice(before).flatMap(({ message }) => message.answers);
  assert.deepEqual(
    said.filter((record) => record.type === type.A).map((record) => [record.class, record.ttl, record.data.at(-1)]),
    [
      [IN | TOP_BIT, 120, 7],
      [IN, 0, 1],
    ],
  );
  on.pass(5000);
  before = on.heard.length;
  a.set([]);
  const goodbye = on.heard.slice(before).flatMap(({ message }) => message.answers);
  assert.deepEqual(
    goodbye.map(({ ttl }) => ttl),
    [0, 0, 0, 0],
  );
  assert.deepEqual(on.ask(type.A, 'web.local'), []);
});

test('a name that is contested later is probed for again, and kept by whom it is defended', () => {
  const on = link();
  const [a, b] = [on.join('a'), on.join('b')];
  a.set([claim('web', '192.0.2.1')]);
  on.pass(5000);
  // Two links are joined to one: b has it too.
  on.leave('a');
  b.set([claim('web', '192.0.2.2')]);
  on.pass(5000);
  on.leave('b');
  assert.deepEqual(on.events, ['a holds web', 'b holds web']);
  const foreign = encodeMessage({
    id: 0,
    flags: flag.response | flag.authoritative,
    questions: [],
    answers: [addressRecord(name('web.local'), parseAddress('192.0.2.2')!, 120)],
    authorities: [],
    additionals: [],
  });
  a.hear(foreign, peer('b'));
  assert.deepEqual(
    a.holdings().map(({ state }) => state),
    ['probing'],
  );
  on.pass(100);
  a.hear(foreign, peer('b'));
  on.pass(5000);
  assert.deepEqual(
    a.holdings().map(({ label, state }) => [label, state]),
    [['web-2', 'held']],
  );
});

test("somebody else's goodbye for our name is put right, a reverse name that somebody else has is none of our business", () => {
  const on = link();
  const a = on.join('a');
  a.set([claim('web', '192.0.2.1')]);
  on.pass(5000);
  const say = (record: ResourceRecord) => {
    const before = on.heard.length;
    const flags = flag.response | flag.authoritative;
    a.hear(
      encodeMessage({ id: 0, flags, questions: [], answers: [record], authorities: [], additionals: [] }),
      peer('b'),
    );
    on.pass(10);
    return on.heard.slice(before);
  };
  assert.deepEqual(say(addressRecord(name('web.local'), parseAddress('192.0.2.1')!, 0)).flatMap(addresses), [
    String(0xc0000201),
  ]);
  assert.deepEqual(say(pointerRecord(reverseName(parseAddress('192.0.2.1')!), name('other.local'), 120)), []);
  assert.deepEqual(
    a.holdings().map(({ state }) => state),
    ['held'],
  );
});

test('services are found by their type, and all that is needed comes along', () => {
  const on = link();
  const a = on.join('a');
  const web = { type: '_http._tcp', port: 80, text: ['path=/'] };
  a.set([claim('one', '192.0.2.1', [web]), claim('two', '192.0.2.2', [web])]);
  on.pass(6000);
  const [answer] = on.ask(type.PTR, '_http._tcp.local');
  assert.deepEqual(answer!.message.answers.map(targetOf), ['one._http._tcp.local', 'two._http._tcp.local']);
  assert.deepEqual(
    answer!.message.answers.map((record) => [record.class, record.ttl]),
    [
      [IN, 4500],
      [IN, 4500],
    ],
  );
  assert.deepEqual(
    answer!.message.additionals.map((record) => record.type).toSorted((x, y) => x - y),
    [type.A, type.A, type.TXT, type.TXT, type.SRV, type.SRV, type.NSEC, type.NSEC],
  );
  const [kinds] = on.ask(type.PTR, '_services._dns-sd._udp.local');
  assert.deepEqual(kinds!.message.answers.map(targetOf), ['_http._tcp.local']);
  const before = on.heard.length;
  a.set([claim('one', '192.0.2.1', [web])]);
  const goodbye = on.heard.slice(before).flatMap(({ message }) => message.answers);
  assert.ok(!goodbye.some((record) => targetOf(record) === '_http._tcp.local'), 'the other still has that service');
});

test('a flood of questions is not answered with a flood', () => {
  const on = link();
  const a = on.join('a');
  a.set([claim('web', '192.0.2.1')]);
  on.pass(5000);
  const before = on.heard.length;
  const bytes = encodeMessage({
    id: 0,
    flags: 0,
    questions: [{ name: name('web.local'), type: type.A, class: IN }],
    answers: [],
    authorities: [],
    additionals: [],
  });
  for (let count = 0; count < 100; count++) {
    a.hear(bytes, peer(`asker${count}`));
    on.pass(10);
  }
  assert.equal(on.heard.length - before, 1);
});
