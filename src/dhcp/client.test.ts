import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAddress } from '../model/address.ts';
import { macBytes, macFromBytes } from '../model/mac.ts';
import {
  begin,
  type Client,
  decline,
  type Exchange,
  type Purpose,
  receive,
  release,
  type Step,
  wake,
} from './client.ts';
import { code, type Message, messageType, readAddress, typeOf } from './message.ts';
import { type Answer, answer, bytesOf, serverMac } from './testing/server.ts';

const mac = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7));
const client: Client = { mac, clientId: Uint8Array.of(1, ...macBytes(mac)), hostName: 'web' };
const address = parseAddress('192.168.7.20')!;
const server = { address: parseAddress('192.168.7.1')!, mac: serverMac };
/** Different at each call, like chance. */
function dice(): () => number {
  let thrown = 0;
  return () => {
    thrown += 1;
    return (thrown * 0.37) % 1;
  };
}

/** A conversation whose other side is the test. */
function conversation(purpose: Purpose) {
  const chance = dice();
  let now = 1000;
  let step: Step = begin(client, purpose, now, chance);
  return {
    step: () => step,
    now: () => now,
    said: (): Message => step.send!.message,
    hear(type: keyof typeof messageType, how: Answer = {}, change: Partial<Message> = {}): Step | undefined {
      const last: Message = { ...request(step.exchange), ...change };
      const next = receive(step.exchange, { ...answer(last, type, how), ...change }, serverMac, now, chance);
      if (next !== undefined) step = next;
      return next;
    },
    silence(): Step {
      now = step.wakeAt;
      step = wake(step.exchange, now, chance);
      return step;
    },
    pass(milliseconds: number) {
      now += milliseconds;
    },
  };
}
const request = ({ transaction }: Exchange): Message => ({
  op: 'request',
  transaction,
  seconds: 0,
  broadcast: true,
  mac,
  options: new Map(),
});
const option = (message: Message, name: keyof typeof code) => message.options.get(code[name]);
const addressIn = (message: Message, name: keyof typeof code) => {
  const value = readAddress(option(message, name) ?? new Uint8Array());
  return value && formatAddress(value);
};

test('a new lease: discover, offer, request, acknowledgement', () => {
  const talk = conversation({ kind: 'discover' });
  assert.equal(typeOf(talk.said()), messageType.discover);
  assert.ok(talk.said().broadcast);
  assert.equal(talk.step().send!.source, undefined);
  assert.equal(Buffer.from(option(talk.said(), 'hostName')!).toString(), 'web');
  assert.deepEqual(option(talk.said(), 'clientId'), client.clientId);
  const wanted = [...option(talk.said(), 'parameters')!];
  assert.ok(wanted.indexOf(code.classlessRoutes) < wanted.indexOf(code.router), 'RFC 3442');

  talk.pass(30);
  assert.equal(talk.hear('offer')!.chosen!.terms.lease, 3600);
  assert.equal(typeOf(talk.said()), messageType.request);
  assert.equal(addressIn(talk.said(), 'requestedAddress'), '192.168.7.20');
  assert.equal(addressIn(talk.said(), 'server'), '192.168.7.1');
  assert.equal(talk.said().current, undefined);

  const asked = talk.now();
  talk.pass(30);
  const { outcome } = talk.hear('ack')!;
  assert.ok(outcome?.kind === 'granted');
  assert.deepEqual(outcome.server, server);
  assert.equal(outcome.requestedAt, asked, 'the lease counts from the request, not from the answer');
});

test('a wish is told', () => {
  assert.equal(addressIn(conversation({ kind: 'discover', wish: address }).said(), 'requestedAddress'), '192.168.7.20');
});

test('a whole name stands in the place of the host name, and a time is wished for', () => {
  const said = (more: Partial<Client>) => begin({ ...client, ...more }, { kind: 'discover' }, 0, dice()).send!.message;
  const named = said({ fqdn: 'web.lan.example', leaseTime: 600 });
  assert.equal(option(named, 'hostName'), undefined, 'RFC 4702: never both');
  assert.deepEqual(Buffer.from(option(named, 'fqdn')!).toString('latin1'), '\x05\0\0\x03web\x03lan\x07example\0');
  assert.deepEqual([...option(named, 'leaseTime')!], [0, 0, 2, 88]);
  assert.deepEqual([option(said({}), 'fqdn'), option(said({}), 'leaseTime')], [undefined, undefined]);
});

test('silence is met with repetition, ever more slowly, and never in step with others', () => {
  const talk = conversation({ kind: 'discover' });
  const waits: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    waits.push(talk.step().wakeAt - talk.now());
    talk.silence();
    assert.equal(typeOf(talk.said()), messageType.discover);
  }
  for (const [index, base] of [500, 1000, 2000, 4000, 4000].entries())
    assert.ok(Math.abs(waits[index]! - base) <= base * 0.1, waits.join());
  assert.equal(talk.said().seconds, Math.floor((talk.now() - 1000) / 1000));
});

test('an offer that is not confirmed is given up for another', () => {
  const talk = conversation({ kind: 'discover' });
  talk.hear('offer');
  const { transaction } = talk.said();
  for (let round = 0; round < 3; round += 1) assert.equal(typeOf(talk.silence().send!.message), messageType.request);
  assert.equal(talk.said().transaction, transaction);
  talk.silence();
  assert.equal(typeOf(talk.said()), messageType.discover);
  assert.notEqual(talk.said().transaction, transaction, 'what comes late for the old request is not heard any more');
  assert.ok(talk.hear('offer', { server: '192.168.7.2' })!.chosen);
});

test('what belongs to another exchange, client or server is not heard', () => {
  const other = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 8));
  const talk = conversation({ kind: 'discover' });
  assert.equal(talk.hear('offer', {}, { transaction: 5 }), undefined);
  assert.equal(talk.hear('offer', {}, { mac: other }), undefined);
  assert.equal(talk.hear('offer', {}, { op: 'request' }), undefined);
  assert.equal(talk.hear('offer', { options: { [code.clientId]: Uint8Array.of(0, 1) } }), undefined, 'RFC 6842');
  assert.equal(talk.hear('offer', { options: { [code.server]: undefined } }), undefined);
  assert.equal(talk.hear('ack'), undefined, 'nothing has been requested');
  assert.equal(talk.hear('nak'), undefined);
  talk.hear('offer', { options: { [code.clientId]: client.clientId } });
  assert.equal(talk.hear('offer', { yours: '192.168.7.99' }), undefined, 'one was chosen');
  assert.equal(talk.hear('ack', { server: '192.168.7.66' }), undefined);
  assert.equal(talk.hear('ack', { yours: '192.168.7.66' }), undefined);
  assert.equal(talk.hear('nak', { server: '192.168.7.66' }), undefined);
  assert.ok(talk.hear('ack')!.outcome);
});

test('a server that offers and refuses is asked again, without haste', () => {
  const talk = conversation({ kind: 'discover' });
  talk.hear('offer');
  const refused = talk.hear('nak', { options: { [code.text]: Buffer.from('no\n way') } })!;
  assert.equal(refused.refusal!.reason, 'no way');
  assert.equal(refused.send, undefined);
  assert.ok(refused.wakeAt > talk.now());
  assert.equal(typeOf(talk.silence().send!.message), messageType.discover);
});

test('after a reboot one round is enough', () => {
  const talk = conversation({ kind: 'reboot', address });
  assert.equal(typeOf(talk.said()), messageType.request);
  assert.equal(addressIn(talk.said(), 'requestedAddress'), '192.168.7.20');
  assert.equal(option(talk.said(), 'server'), undefined, 'RFC 2131 §4.3.2');
  assert.ok(talk.said().broadcast);
  assert.equal(talk.hear('ack', { yours: '192.168.7.21' }), undefined);
  assert.ok(talk.hear('ack')!.outcome?.kind === 'granted');
});

test('after a reboot in another network a new lease is asked for at once', () => {
  const talk = conversation({ kind: 'reboot', address });
  const step = talk.hear('nak')!;
  assert.ok(step.refusal);
  assert.equal(typeOf(step.send!.message), messageType.discover);
  assert.equal(addressIn(talk.said(), 'requestedAddress'), undefined);
});

test('after a reboot without answer a new lease is asked for, with the old address as a wish', () => {
  const talk = conversation({ kind: 'reboot', address });
  assert.equal(typeOf(talk.silence().send!.message), messageType.request);
  assert.equal(typeOf(talk.silence().send!.message), messageType.discover);
  assert.equal(addressIn(talk.said(), 'requestedAddress'), '192.168.7.20');
});

test('renewal goes to the server, rebinding to everybody, both from the address', () => {
  for (const purpose of [
    { kind: 'renew', address, server },
    { kind: 'rebind', address },
  ] as const) {
    const talk = conversation(purpose);
    const { source, to } = talk.step().send!;
    assert.equal(typeOf(talk.said()), messageType.request);
    assert.deepEqual(source, address);
    assert.deepEqual(to, purpose.kind === 'renew' ? server : undefined);
    assert.deepEqual(talk.said().current, address);
    for (const absent of ['requestedAddress', 'server'] as const) assert.equal(option(talk.said(), absent), undefined);
    assert.ok(!talk.said().broadcast);
    assert.equal(talk.hear('ack', { yours: '192.168.7.21' }), undefined, 'another address is no renewal');
    assert.ok(talk.hear('ack')!.outcome?.kind === 'granted');
  }
});

test('a refusal ends renewal when the server says it, rebinding when anybody does', () => {
  const renewal = conversation({ kind: 'renew', address, server });
  assert.equal(renewal.hear('nak', { server: '192.168.7.66' }), undefined);
  assert.equal(renewal.hear('nak')!.outcome?.kind, 'refused');
  for (const kind of ['rebind', 'confirm'] as const) {
    const talk = conversation({ kind, address });
    assert.equal(talk.hear('nak', { server: '192.168.7.66' })!.outcome?.kind, 'refused');
  }
});

test('an address that must be the same is not exchanged for another, however long nobody answers', () => {
  const talk = conversation({ kind: 'confirm', address });
  for (let round = 0; round < 6; round += 1) assert.equal(typeOf(talk.silence().send!.message), messageType.request);
});

test('giving back and declining', () => {
  const back = release(client, address, server, dice());
  assert.equal(typeOf(back.message), messageType.release);
  assert.deepEqual([back.source, back.to, back.message.current], [address, server, address]);
  const no = decline(client, address, server.address, dice());
  assert.equal(typeOf(no.message), messageType.decline);
  assert.deepEqual([no.source, no.to, no.message.current], [undefined, undefined, undefined]);
  assert.deepEqual(option(no.message, 'requestedAddress'), bytesOf('192.168.7.20'));
});
