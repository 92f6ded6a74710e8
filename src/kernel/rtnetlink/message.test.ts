import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Writer } from './attributes.ts';
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR } from './constants.ts';
import { readMessages, readOutcome, request, writeMessage } from './message.ts';

test('several messages in one datagram are read as they were written', () => {
  const writer = new Writer();
  writeMessage(
    writer,
    request(16, 0x400, (body) => body.raw(Uint8Array.of(1, 2, 3, 4, 5))),
    0x5,
    41,
  );
  writeMessage(
    writer,
    request(17, 0, (body) => body.u32(9)),
    0x1,
    42,
  );
  const messages = [...readMessages(writer.bytes)];
  assert.deepEqual(
    messages.map(({ type, flags, sequence }) => ({ type, flags, sequence })),
    [
      { type: 16, flags: 0x405, sequence: 41 },
      { type: 17, flags: 0x1, sequence: 42 },
    ],
  );
  assert.deepEqual(messages[0]!.body, Uint8Array.of(1, 2, 3, 4, 5));
});

test('any bytes end, and no message leaves them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const { body } of readMessages(bytes))
        assert.ok(body.byteOffset + body.length <= bytes.byteOffset + bytes.length);
    }),
  );
});

function refusal(flags: number, quoted: number, text: string): ReturnType<typeof readOutcome> {
  const writer = new Writer();
  // struct nlmsgerr: the error, the header of the request, and its body when it is not capped.
  writer
    .u32(-22 >>> 0)
    .u32(quoted)
    .u16(0)
    .u16(0)
    .u32(0)
    .u32(0);
  for (let at = 16; at < ((quoted + 3) & ~3) && (flags & NLM_F_CAPPED) === 0; at++) writer.u8(0xee);
  writer.attributeString(1, text);
  return readOutcome({ type: NLMSG_ERROR, flags, sequence: 1, body: writer.bytes });
}

test('the sentence of an extended acknowledgement is found behind the request that it quotes', () => {
  const expected = { errno: 22, message: 'Invalid master device' };
  assert.deepEqual(refusal(NLM_F_ACK_TLVS | NLM_F_CAPPED, 200, 'Invalid master device'), expected);
  assert.deepEqual(refusal(NLM_F_ACK_TLVS, 49, 'Invalid master device'), expected);
  assert.deepEqual(refusal(NLM_F_CAPPED, 200, 'Invalid master device'), { errno: 22 });
});

test('an acknowledgement is no error', () => {
  const body = new Writer().u32(0).u32(36).u16(0).u16(0).u32(0).u32(0).bytes;
  assert.deepEqual(readOutcome({ type: NLMSG_ERROR, flags: NLM_F_CAPPED, sequence: 1, body }), { errno: 0 });
});
