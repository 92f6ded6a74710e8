import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { describe, it } from 'node:test';
import type { EngineEvent } from './engine.ts';
import { connectEngine } from './engine-client.ts';
import { fakeEngineForEach, VERSION } from './testing/fake-engine.ts';

const unreachable = (pattern: RegExp) => ({ name: 'BerthError', code: 'ENGINE_UNREACHABLE', message: pattern });

const fake = fakeEngineForEach();

describe('events', () => {
  const line = (type: string, action: string) =>
    `${JSON.stringify({ Type: type, Action: action, Actor: { ID: 'i', Attributes: { name: 'web' } } })}\n`;

  async function collect(signal: AbortSignal, each?: (event: EngineEvent) => void): Promise<string[]> {
    const seen: string[] = [];
    for await (const event of connectEngine(fake.address, { deadlineMs: 1000 }).events(signal)) {
      seen.push(`${event.type} ${event.action}`);
      each?.(event);
    }
    return seen;
  }

  it('begin when it is connected, and end when the engine ends them', async () => {
    await fake.answer({
      '/version': VERSION,
      '/events': ((_request, response) => {
        response.write(line('network', 'create') + line('container', 'die').slice(0, 20));
        setImmediate(() =>
          response.end(`${line('container', 'die').slice(20)}\n{"Type":"daemon","Action":"reload"}\n`),
        );
      }) as RequestListener,
    });
    const events: EngineEvent[] = [];
    assert.deepEqual(await collect(new AbortController().signal, (event) => events.push(event)), [
      'engine connected',
      'network create',
      'container die',
      'daemon reload',
    ]);
    assert.deepEqual(events[1], { type: 'network', action: 'create', actor: 'i', attributes: { name: 'web' } });
    assert.equal(decodeURIComponent(fake.asked[1]!), '/v1.44/events?filters={"type":["network","container","daemon"]}');
  });

  it('end when the connection breaks off', async () => {
    await fake.answer({
      '/version': VERSION,
      '/events': ((request, response) => {
        response.write(line('network', 'create'), () => request.socket.destroy());
      }) as RequestListener,
    });
    assert.deepEqual(await collect(new AbortController().signal), ['engine connected', 'network create']);
  });

  it('outlive the deadline of a call, and end when the signal aborts', async () => {
    await fake.answer({
      '/version': VERSION,
      '/events': ((_request, response) => {
        response.flushHeaders();
        setTimeout(() => response.write(line('network', 'create')), 1500);
      }) as RequestListener,
    });
    const abort = new AbortController();
    const seen = await collect(abort.signal, (event) => event.action === 'create' && abort.abort());
    assert.deepEqual(seen, ['engine connected', 'network create']);
  });

  it('end when the signal aborts while nothing happens, or before', async () => {
    await fake.answer({
      '/version': VERSION,
      '/events': ((_request, response) => response.flushHeaders()) as RequestListener,
    });
    const abort = new AbortController();
    assert.deepEqual(await collect(abort.signal, () => setTimeout(() => abort.abort(), 20)), ['engine connected']);
    assert.deepEqual(await collect(AbortSignal.abort()), []);
  });

  it('fail when the engine does not begin to answer', async () => {
    await fake.answer({ '/version': VERSION, '/events': () => undefined });
    await assert.rejects(
      collect(new AbortController().signal),
      unreachable(/does not answer GET .*events.* within 1 s/),
    );
  });

  it('fail on garbage and on a line without end', async () => {
    await fake.answer({
      '/version': VERSION,
      '/events': ((_request, response) => response.end('{"Type":\n')) as RequestListener,
    });
    await assert.rejects(
      collect(new AbortController().signal),
      unreachable(/an event that cannot be read: "\{"Type":"/),
    );
    await new Promise((resolve) => fake.server()!.close(resolve));
    await fake.answer({
      '/version': VERSION,
      '/events': ((_request, response) => response.end('x'.repeat(2_000_000))) as RequestListener,
    });
    await assert.rejects(collect(new AbortController().signal), unreachable(/longer than 1 MiB/));
  });
});
