import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import type { Api } from '../api.ts';
import { createTokenSource } from './token.ts';

/** A Keystone of tokens that live so many seconds, and a clock. */
function setUp(life: number) {
  const state = { now: 0, asked: 0, broken: false };
  const issued = Date.parse('2001-01-01T00:00:00Z');
  const token = {
    issued_at: new Date(issued).toISOString(),
    expires_at: new Date(issued + life * 1000).toISOString(),
    user: { id: 'u' },
  };
  const api: Api = {
    async call() {
      state.asked++;
      if (state.broken) throw new BerthError('OPENSTACK_UNREACHABLE', 'away');
      return { status: 201, headers: { 'x-subject-token': `T${state.asked}` }, body: { token } };
    },
    close() {},
  };
  const source = createTokenSource(
    api,
    { kind: 'keystone', url: 'http://k', credentials: { kind: 'token', token: 't' }, scope: { kind: 'none' } },
    () => state.now,
  );
  const current = async (seconds: number) => {
    state.now = seconds * 1000;
    return (await source.current({})).text;
  };
  return { state, source, current };
}

describe('a token', () => {
  it('is renewed beside its use, before it ends', async () => {
    const { state, current } = setUp(3600);
    assert.equal(await current(0), 'T1');
    assert.equal(await current(3299), 'T1');
    assert.equal(state.asked, 1);
    assert.equal(await current(3301), 'T1');
    assert.equal(state.asked, 2);
    assert.equal(await current(3302), 'T2');
  });

  it('is used on while Keystone is away, and not beyond its life', async () => {
    const { state, current } = setUp(3600);
    await current(0);
    state.broken = true;
    assert.equal(await current(3500), 'T1');
    await assert.rejects(current(3580), { code: 'OPENSTACK_UNREACHABLE' });
    state.broken = false;
    assert.equal(await current(3590), 'T4');
  });

  it('of a short life is used for most of it', async () => {
    const { state, current } = setUp(10);
    assert.equal(await current(0), 'T1');
    assert.equal(await current(7.9), 'T1');
    assert.equal(state.asked, 1);
    assert.equal(await current(9.5), 'T2');
  });

  it('that is refused is replaced, unless it is new or has been replaced', async () => {
    const { state, source } = setUp(3600);
    const first = await source.current({});
    assert.equal((await source.instead(first, {})).text, 'T1');
    state.now = 5000;
    const second = await source.instead(first, {});
    assert.equal(second.text, 'T2');
    assert.equal((await source.instead(first, {})).text, 'T2');
    assert.equal(state.asked, 2);
  });
});
