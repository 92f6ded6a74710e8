import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BerthError, type ErrorCode } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createJobs, type Jobs } from './jobs.ts';

const events = { emit: () => undefined };
const refuses = (code: ErrorCode, message: RegExp) => (error: unknown) =>
  error instanceof BerthError && error.code === code && message.test(error.message);

/** Two hosts on one store; h2 does what it is told. */
async function withHosts(
  perform: (request: unknown) => Promise<unknown>,
  work: (h1: Jobs, store: ReturnType<typeof createMemoryStore>) => Promise<void>,
): Promise<void> {
  const store = createMemoryStore();
  const stop = new AbortController();
  const h1 = createJobs({ store, host: 'h1', events, perform: () => Promise.reject(new Error('not for h1')) });
  const h2 = createJobs({ store, host: 'h2', events, perform });
  const following = Promise.all([h1.follow(stop.signal), h2.follow(stop.signal)]);
  try {
    await work(h1, store);
    assert.deepEqual((await store.list('berth/job/')).entries, []);
  } finally {
    stop.abort();
    await following;
    await store.close();
  }
}

describe('what one agent asks of another', () => {
  it('is answered, and nothing of it stays', () =>
    withHosts(
      async (request) => ({ done: request }),
      async (h1) => {
        const asked = Array.from({ length: 20 }, (_, number) => h1.ask('h2', { number }, 5000));
        assert.deepEqual(
          await Promise.all(asked),
          asked.map((_, number) => ({ done: { number } })),
        );
      },
    ));

  it('is done a few at a time', async () => {
    let [now, most] = [0, 0];
    const perform = async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
    };
    await withHosts(perform, async (h1) => {
      await Promise.all(Array.from({ length: 20 }, () => h1.ask('h2', {}, 5000)));
    });
    assert.equal(most, 4);
  });

  it('an error comes back as the same error', () =>
    withHosts(
      () => Promise.reject(new BerthError('CONTAINER_UNKNOWN', 'there is no container x')),
      async (h1) => {
        await assert.rejects(h1.ask('h2', {}, 5000), refuses('CONTAINER_UNKNOWN', /no container x/));
      },
    ));

  it('a host that is silent is waited for no longer than so long', () =>
    withHosts(
      () => Promise.resolve(1),
      async (h1) => {
        await assert.rejects(h1.ask('h9', {}, 50), refuses('HOST_SILENT', /h9 did not answer within 0.05 s/));
      },
    ));

  it('what lay there before the agent began is done as well', async () => {
    const store = createMemoryStore();
    const h1 = createJobs({ store, host: 'h1', events, perform: () => Promise.resolve() });
    const asked = h1.ask('h2', 'early', 5000);
    const stop = new AbortController();
    const h2 = createJobs({ store, host: 'h2', events, perform: (request) => Promise.resolve([request]) });
    const following = h2.follow(stop.signal);
    assert.deepEqual(await asked, ['early']);
    // What is no job is answered too, and harms nobody.
    await store.transact({ then: [{ do: 'put', key: keys.job('h2', 'x'), value: 'nonsense' }] });
    assert.deepEqual(await h1.ask('h2', 'after', 5000), ['after']);
    stop.abort();
    await following;
    await store.close();
  });
});
