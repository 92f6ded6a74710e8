import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { within } from '../../openstack/bounds.ts';
import { type ActivationParts, createActivation } from './activation.ts';

const port = { port: 'p1' };

/** Neutron, which answers so one time after the other, and then always as the last time. */
function neutronThat(...answers: readonly (string | Error | undefined)[]) {
  let asked = 0;
  const list = () => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    if (answer instanceof Error) return Promise.reject(answer);
    return Promise.resolve(answer === undefined ? [] : [{ status: answer }]);
  };
  return { neutron: { ports: { list } } as unknown as ActivationParts['neutron'], asked: () => asked };
}

const wait = (neutron: ActivationParts['neutron'], timeout?: number) =>
  createActivation({ neutron, host: 'h1', timeout, agents: () => Promise.resolve(['Linux bridge agent (alive)']) });

describe('waiting for a port', () => {
  it('ends as soon as it is active, whatever went wrong before', async () => {
    const { neutron, asked } = neutronThat('DOWN', new Error('gone'), 'ACTIVE');
    await wait(neutron)(port, within(9000));
    assert.equal(asked(), 3);
  });

  const ends = [
    ['DOWN', /its status is DOWN/],
    [undefined, /no such port any more/],
    [new Error('no route to Neutron'), /no route to Neutron/],
  ] as const;
  for (const [answer, why] of ends)
    it(`fails after the time with what was known last: ${String(answer)}`, async () => {
      const { neutron } = neutronThat(answer);
      await assert.rejects(wait(neutron, 300)(port, within(9000)), (error: Error) => {
        assert.match(error.message, why);
        assert.match(error.message, /on the host 'h1'.*Linux bridge agent \(alive\)/);
        return (error as Error & { code: string }).code === 'PORT_INACTIVE';
      });
    });

  it('tells the status that it knows, though the last question had no answer', async () => {
    const { neutron } = neutronThat('DOWN', new Error('no answer'));
    await assert.rejects(wait(neutron, 300)(port, within(9000)), { message: /its status is DOWN/ });
  });

  it('leaves time of the call for the undoing, however long it may take', async () => {
    const { neutron } = neutronThat('DOWN');
    const bounds = within(2000);
    await assert.rejects(wait(neutron, 60_000)(port, bounds), { code: 'PORT_INACTIVE' });
    assert.ok(bounds.until! > performance.now());
  });
});
