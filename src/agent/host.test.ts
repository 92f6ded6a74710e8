import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { HostView, Kernel } from '../kernel/kernel.ts';
import { watchHost } from './host.ts';

/** A kernel that takes a while to be read, and says that it has changed when told to. */
function changingKernel(milliseconds: number) {
  let reads = 0;
  let change = () => {};
  const kernel = {
    async view(): Promise<HostView> {
      reads += 1;
      if (milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, milliseconds));
      return { links: [], addresses: [], routes: [] };
    },
    onChange(listener: () => void) {
      change = listener;
    },
  } as Partial<Kernel> as Kernel;
  return { kernel, change: () => change(), reads: () => reads };
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('a change is seen at once where reading is quick, and once for those that come together', async () => {
  const { kernel, change, reads } = changingKernel(0);
  const host = await watchHost(kernel);
  const heard = mock.fn();
  host.onChange(heard);
  change();
  change();
  await pause(20);
  assert.equal(reads(), 2);
  assert.equal(heard.mock.callCount(), 1);
});

test('a host that takes long to read is not read all the time, but the last change is seen', async () => {
  const { kernel, change, reads } = changingKernel(10);
  await watchHost(kernel);
  change();
  await pause(50);
  const after = reads();
  for (let i = 0; i < 10; i++) {
    change();
    await pause(5);
  }
  assert.equal(reads(), after, 'it was read again before it had rested');
  await pause(400);
  assert.equal(reads(), after + 1);
});

test('whoever asks for it gets a new view now', async () => {
  const { kernel, change, reads } = changingKernel(10);
  const host = await watchHost(kernel);
  change();
  await pause(30);
  const before = host.current();
  assert.notEqual(await host.refresh(), before);
  assert.equal(reads(), 3);
});
