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

/** However long a busy machine takes for it. */
async function until(is: () => boolean): Promise<void> {
  while (!is()) await pause(5);
}
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('a change is seen at once where reading is quick, and once for those that come together', async () => {
  const { kernel, change, reads } = changingKernel(0);
  const host = await watchHost(kernel);
  const heard = mock.fn();
  host.onChange(heard);
  change();
  change();
  await until(() => heard.mock.callCount() > 0);
  await pause(20);
  assert.equal(reads(), 2);
  assert.equal(heard.mock.callCount(), 1);
});

test('a host that takes long to read is not read all the time, but the last change is seen', async () => {
  // It rests for 19 times as long: much longer than a busy machine makes of the pauses here.
  const { kernel, change, reads } = changingKernel(60);
  await watchHost(kernel);
  change();
  await until(() => reads() === 2);
  await pause(100);
  for (let i = 0; i < 10; i++) {
    change();
    await pause(5);
  }
  assert.equal(reads(), 2, 'it was read again before it had rested');
  await until(() => reads() > 2);
  await pause(100);
  assert.equal(reads(), 3);
});

test('whoever asks for it gets a new view now', async () => {
  const { kernel, change, reads } = changingKernel(10);
  const host = await watchHost(kernel);
  const first = host.current();
  change();
  await until(() => host.current() !== first);
  const before = host.current();
  assert.notEqual(await host.refresh(), before);
  assert.equal(reads(), 3);
});
