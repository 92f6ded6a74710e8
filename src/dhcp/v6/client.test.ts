import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { macFromBytes } from '../../model/mac.ts';
import { begin, type Purpose6, receive, type Step6, wake } from './client.ts';
import { clientOf6 } from './identity.ts';
import { code, decodeOptions, type Message, messageType, number, option, statusCode } from './message.ts';
import { type Answer, answer, SERVER, serverDuid, serverMac } from './testing/server.ts';

const mac = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7));
const client = clientOf6({ mac, clientId: Uint8Array.of(1, 2, 0, 0, 0, 0, 7), hostName: 'web' });
const address = parseAddress('2001:db8:7::1000')!;
const from = { address: parseAddress(SERVER)!, mac: serverMac };
const server = { ...from, duid: serverDuid };
const another = Uint8Array.of(0, 3, 0, 1, 0x0a, 0, 0, 0, 0, 0x54);

/** Different at each call, like chance. */
function dice(): () => number {
  let thrown = 0;
  return () => {
    thrown += 1;
    return (thrown * 0.37) % 1;
  };
}

/** A conversation whose other side is the test. */
function conversation(purpose: Purpose6) {
  const chance = dice();
  let now = 1000;
  let step: Step6 = begin(client, purpose, now, chance);
  let last = step.send!;
  function take(next: Step6): Step6 {
    step = next;
    last = next.send ?? last;
    return next;
  }
  return {
    said: () => last,
    now: () => now,
    step: () => step,
    hear(how: Answer = {}, change: Partial<Message> = {}): Step6 | undefined {
      const next = receive(step.exchange, { ...answer(last, how), ...change }, from, now, chance);
      return next && take(next);
    },
    silence(): Step6 {
      now = step.wakeAt;
      return take(wake(step.exchange, now, chance));
    },
    pass(milliseconds: number) {
      now += milliseconds;
    },
  };
}

const preference = (value: number) => ({ code: code.preference, value: number(value, 1) });
const rapid = { code: code.rapidCommit, value: new Uint8Array() };
/** The address in the identity association of a message. */
function asked({ options }: Message): string | undefined {
  const association = option(options, code.identityAssociation);
  const inner = association && option(decodeOptions(association.subarray(12))!, code.address);
  return inner && [...inner.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
const HEX = '20010db8000700000000000000001000';

test('solicit, advertise, request, reply', () => {
  const talk = conversation({ kind: 'solicit' });
  assert.equal(talk.said().type, messageType.solicit);
  assert.deepEqual(option(talk.said().options, code.clientId), Uint8Array.of(0, 3, 0, 1, 2, 0, 0, 0, 0, 7));
  assert.deepEqual(option(talk.said().options, code.fqdn), Uint8Array.of(1, 3, ...Buffer.from('web')));
  assert.ok(option(talk.said().options, code.rapidCommit) !== undefined);
  assert.equal(asked(talk.said()), undefined);
  const first = talk.said();
  assert.equal(talk.hear()!.chosen, undefined, 'others may have a higher preference');
  const step = talk.silence();
  assert.equal(talk.now(), 1300);
  assert.equal(formatAddress(step.chosen!.terms.address.address), '2001:db8:7::1000');
  assert.equal(talk.said().type, messageType.request);
  assert.notEqual(talk.said().transaction, first.transaction);
  assert.deepEqual(option(talk.said().options, code.serverId), serverDuid);
  assert.equal(asked(talk.said()), HEX);
  talk.pass(10);
  const { outcome } = talk.hear()!;
  assert.ok(outcome?.kind === 'granted');
  assert.deepEqual([outcome.requestedAt, outcome.server.duid], [1300, serverDuid]);
  assert.deepEqual([outcome.terms.lease, outcome.terms.renew, outcome.terms.rebind], [3600, 900, 1440]);
  assert.equal(outcome.terms.address.length, 128, 'the length is not for DHCPv6 to say');
});

test('a name in a domain is a whole one, and how long a lease is wished for is told with the address', () => {
  const wishing = clientOf6({
    mac,
    clientId: Uint8Array.of(1, 2, 0, 0, 0, 0, 7),
    hostName: 'web',
    fqdn: 'web.lan',
    leaseTime: 600,
  });
  const { options } = begin(wishing, { kind: 'solicit', wish: address }, 0, dice()).send!;
  assert.deepEqual(option(options, code.fqdn), Uint8Array.of(1, 3, ...Buffer.from('web'), 3, ...Buffer.from('lan'), 0));
  const inner = option(decodeOptions(option(options, code.identityAssociation)!.subarray(12))!, code.address)!;
  assert.deepEqual([...inner.subarray(16)], [0, 0, 2, 88, 0, 0, 2, 88]);
});

test('the highest preference is taken, and 255 at once', () => {
  const talk = conversation({ kind: 'solicit' });
  talk.hear({ options: [preference(3)], addresses: ['2001:db8:7::3'] });
  talk.hear({ options: [preference(7)], addresses: ['2001:db8:7::7'], server: another });
  talk.hear({ options: [preference(7)], addresses: ['2001:db8:7::8'] });
  const chosen = talk.silence().chosen!;
  assert.equal(formatAddress(chosen.terms.address.address), '2001:db8:7::7');
  assert.deepEqual(chosen.server.duid, another);
  const eager = conversation({ kind: 'solicit' });
  assert.ok(eager.hear({ options: [preference(255)] })!.chosen !== undefined);
  // Who answers late is not compared with anybody.
  const late = conversation({ kind: 'solicit' });
  late.silence();
  assert.ok(late.hear()!.chosen !== undefined);
});

test('a reply to a solicitation is a grant where the server says so', () => {
  const talk = conversation({ kind: 'solicit' });
  assert.equal(talk.hear({ type: 'reply' }), undefined);
  assert.equal(talk.hear({ type: 'reply', options: [rapid] })!.outcome?.kind, 'granted');
});

test('the address from before is wished for, and taken of several', () => {
  const talk = conversation({ kind: 'solicit', wish: address });
  assert.equal(asked(talk.said()), HEX);
  const addresses = ['2001:db8:7::9', '2001:db8:7::1000'];
  const { chosen } = talk.hear({ options: [preference(255)], addresses })!;
  assert.equal(formatAddress(chosen!.terms.address.address), '2001:db8:7::1000');
});

test('what is not for us, or from nobody, is passed over', () => {
  const talk = conversation({ kind: 'solicit' });
  const { transaction } = talk.said();
  assert.equal(talk.hear({}, { transaction: transaction ^ 1 }), undefined);
  assert.equal(talk.hear({ options: [{ code: code.clientId, value: another }] }), undefined);
  assert.equal(talk.hear({ options: [{ code: code.serverId, value: new Uint8Array() }] }), undefined);
  assert.equal(talk.hear({}, { type: messageType.request }), undefined);
  talk.hear({ options: [preference(255)] });
  assert.equal(talk.hear({ server: another }), undefined, 'another server does not answer a request to one');
});

test('sent again at the times of RFC 8415 §15, with the time that has passed', () => {
  const talk = conversation({ kind: 'solicit' });
  const waits: number[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const before = talk.now();
    talk.silence();
    waits.push(talk.now() - before);
  }
  assert.ok(Math.abs(waits[0]! - 1000) <= 100, String(waits));
  for (const [index, wait] of waits.slice(1).entries()) {
    assert.ok(Math.abs(wait / waits[index]! - 2) <= 0.1, String(waits));
  }
  const elapsed = option(talk.said().options, code.elapsed)!;
  assert.equal(elapsed[0]! * 256 + elapsed[1]!, Math.floor((talk.now() - 1000) / 10));
  // A server may say how long is waited at most (RFC 8415 §21.24); what it says is remembered though it has no address.
  talk.hear({
    status: statusCode.noAddresses,
    addresses: [],
    options: [{ code: code.solicitMaxTime, value: number(60, 4) }],
  });
  assert.equal(talk.step().exchange.longest, 60_000);
});

test('servers without an address: asked once more, then it is told why', () => {
  for (const how of [
    { status: statusCode.noAddresses, addresses: [] },
    { messageStatus: statusCode.noAddresses, addresses: [] },
    // As dnsmasq says it to who would take a grant at once.
    { messageStatus: statusCode.noAddresses, addresses: [], type: 'reply', options: [rapid] },
  ] as const) {
    const talk = conversation({ kind: 'solicit' });
    assert.equal(talk.hear(how)!.outcome, undefined);
    assert.equal(talk.silence().send?.type, messageType.solicit);
    talk.hear(how);
    const { outcome } = talk.silence();
    assert.ok(outcome?.kind === 'unavailable');
    assert.equal(outcome.reason, 'it has no free address');
  }
  const other = conversation({ kind: 'solicit' });
  other.hear({ status: statusCode.noAddresses, addresses: [] });
  assert.equal(other.hear({ server: another })!.exchange.offer?.server.duid, another);
});

test('an offer that is not kept: another one is asked for, not in haste', () => {
  const talk = conversation({ kind: 'solicit', wish: address });
  talk.hear({ options: [preference(255)] });
  assert.equal(talk.hear({ status: statusCode.unspecified, addresses: [] }), undefined, 'it may be better next time');
  const step = talk.hear({ status: statusCode.notOnLink, addresses: [] })!;
  assert.equal(step.send, undefined);
  assert.equal(talk.silence().send?.type, messageType.solicit);
  assert.equal(asked(talk.said()), undefined, 'and not that one');
});

test('a request that nobody answers is given up for another solicitation', () => {
  const talk = conversation({ kind: 'solicit' });
  talk.hear({ options: [preference(255)] });
  for (const type of ['request', 'request', 'solicit'] as const)
    assert.equal(talk.silence().send?.type, messageType[type]);
});

test('renewed with the server that gave it, and with anybody later', () => {
  const renewal = conversation({ kind: 'renew', address, server });
  assert.equal(renewal.said().type, messageType.renew);
  assert.deepEqual(option(renewal.said().options, code.serverId), serverDuid);
  assert.equal(renewal.hear({ server: another }), undefined);
  assert.equal(renewal.hear({ addresses: [] }), undefined, 'what is not mentioned is left as it is');
  assert.equal(renewal.hear({ status: statusCode.unspecified, addresses: [] }), undefined);
  assert.equal(renewal.hear()!.outcome?.kind, 'granted');
  const rebinding = conversation({ kind: 'rebind', address });
  assert.equal(rebinding.said().type, messageType.rebind);
  assert.equal(option(rebinding.said().options, code.serverId), undefined);
  assert.equal(rebinding.hear({ server: another })!.outcome?.kind, 'granted');
});

test('a server that has forgotten the lease is asked for it, and may refuse', () => {
  for (const purpose of [
    { kind: 'renew', address, server },
    { kind: 'rebind', address },
  ] as const) {
    const talk = conversation(purpose);
    talk.hear({ status: statusCode.noBinding, addresses: [] });
    assert.equal(talk.said().type, messageType.request);
    assert.deepEqual(option(talk.said().options, code.serverId), serverDuid);
    assert.equal(asked(talk.said()), HEX);
    assert.equal(talk.hear()!.outcome?.kind, 'granted');
  }
  const refused = conversation({ kind: 'renew', address, server });
  refused.hear({ status: statusCode.noBinding, addresses: [] });
  const { outcome } = refused.hear({ status: statusCode.noAddresses, addresses: [] })!;
  assert.ok(outcome?.kind === 'refused');
  const withdrawn = conversation({ kind: 'renew', address, server });
  assert.equal(withdrawn.hear({ valid: 0, preferred: 0 })!.outcome?.kind, 'refused');
  const moved = conversation({ kind: 'renew', address, server });
  assert.equal(moved.hear({ addresses: ['2001:db8:8::1'] })!.outcome?.kind, 'refused');
});

test('at a start the lease from before is asked for; then whether it belongs here; then a new one', () => {
  const talk = conversation({ kind: 'reboot', address });
  assert.equal(talk.said().type, messageType.rebind);
  assert.ok(talk.step().wakeAt - talk.now() < 1200, 'a start does not wait as long as a renewal');
  assert.equal(talk.silence().send?.type, messageType.rebind);
  assert.equal(talk.silence().send?.type, messageType.confirm);
  assert.equal(option(talk.said().options, code.serverId), undefined);
  assert.equal(talk.hear({ messageStatus: statusCode.success })!.outcome?.kind, 'confirmed');

  const elsewhere = conversation({ kind: 'reboot', address });
  elsewhere.silence();
  elsewhere.silence();
  const step = elsewhere.hear({ messageStatus: statusCode.notOnLink })!;
  assert.equal(step.refused?.reason, 'the address does not belong on this link');
  assert.deepEqual([step.send?.type, asked(step.send!)], [messageType.solicit, undefined]);

  const nobody = conversation({ kind: 'reboot', address });
  for (const type of ['rebind', 'confirm', 'solicit'] as const)
    assert.equal(nobody.silence().send?.type, messageType[type]);
  assert.equal(asked(nobody.said()), HEX);

  const lost = conversation({ kind: 'reboot', address });
  const refused = lost.hear({ valid: 0, preferred: 0 })!;
  assert.equal(refused.refused?.kind, 'refused');
  assert.equal(refused.send?.type, messageType.solicit);
});

test('given back and declined, until the server says that it has heard it', () => {
  for (const kind of ['release', 'decline'] as const) {
    const talk = conversation({ kind, address, server });
    assert.deepEqual([talk.said().type, asked(talk.said())], [messageType[kind], HEX]);
    assert.deepEqual(option(talk.said().options, code.serverId), serverDuid);
    assert.equal(talk.hear({ server: another }), undefined);
    assert.equal(talk.silence().send?.type, messageType[kind]);
    const { outcome } = talk.hear({ status: statusCode.noBinding, addresses: [] })!;
    assert.equal(outcome?.kind, 'answered');
  }
});

test('name servers without an address', () => {
  const talk = conversation({ kind: 'inform' });
  assert.equal(talk.said().type, messageType.information);
  assert.equal(option(talk.said().options, code.identityAssociation), undefined);
  const dns = { code: code.dns, value: Uint8Array.from([0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 3]) };
  const search = {
    code: code.searchList,
    value: Uint8Array.of(3, ...Buffer.from('lan'), 7, ...Buffer.from('example'), 0),
  };
  const { outcome } = talk.hear({ options: [dns, search] })!;
  assert.ok(outcome?.kind === 'answered');
  assert.deepEqual([outcome.dns.map(formatAddress), outcome.search], [['2001:db8::3'], ['lan.example']]);
});
