import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeMessage, encodeMessage, flag, flagsOf, IN, opcode, rcode, type } from '../../dns/message.ts';
import { nameAnswer, nameQuestion } from './name-question.ts';

/** What a resolver answers to the question. */
function answered(payload: Uint8Array, data: readonly number[] | undefined): Uint8Array {
  const { id, questions } = decodeMessage(payload)!;
  const [question] = questions;
  const flags = flagsOf(opcode.query, flag.response) | (data === undefined ? rcode.noSuchName : 0);
  const answers =
    data === undefined
      ? []
      : [{ name: question!.name, type: question!.type, class: IN, ttl: 1, data: Uint8Array.from(data) }];
  return encodeMessage({ id, flags, questions, answers, authorities: [], additionals: [] });
}

describe('the name of a container', () => {
  it('is asked for by the family that it has', () => {
    const typeOf = (addresses: readonly string[]) =>
      decodeMessage(nameQuestion('db', addresses)!.payload)!.questions[0]!.type;
    assert.equal(typeOf(['10.1.0.3', 'fd00::3']), type.A);
    assert.equal(typeOf(['fd00::3']), type.AAAA);
    assert.equal(nameQuestion('db', []), undefined);
    assert.equal(nameQuestion('a..b', ['10.1.0.3']), undefined);
  });

  it('is right, wrong, unknown, or nobody answers', () => {
    const { payload } = nameQuestion('db', ['10.1.0.3'])!;
    const said = (data: readonly number[] | undefined) =>
      nameAnswer({ payload: answered(payload, data), obstacles: [] }, ['10.1.0.3']);
    assert.deepEqual(said([10, 1, 0, 3]), { found: ['10.1.0.3'], right: true });
    assert.deepEqual(said([10, 1, 0, 9]), { found: ['10.1.0.9'], right: false, problem: 'it leads to 10.1.0.9' });
    assert.deepEqual(said(undefined), { found: [], right: false, problem: 'there is no such name' });
    const nobody = nameAnswer({ obstacles: [{ code: 'ECONNREFUSED' }] }, ['10.1.0.3']);
    assert.equal(nobody.problem, 'the resolver of the container cannot be asked (ECONNREFUSED)');
    assert.equal(nameAnswer({ obstacles: [] }, []).problem, 'the resolver of the container does not answer');
  });
});
