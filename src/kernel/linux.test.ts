import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { BerthError } from '../model/errors.ts';
import type { Kernel } from './kernel.ts';
import { type KernelOptions, openKernel } from './linux.ts';
import type { KernelObject, Sysctl } from './objects.ts';
import type { PacketPort, PacketRequest } from './packets.ts';

const program = new URL('./fake-worker.ts', import.meta.url);

async function withKernel(work: (kernel: Kernel) => Promise<void>, options: KernelOptions = {}): Promise<void> {
  const kernel = await openKernel({ program, ...options });
  try {
    await work(kernel);
  } finally {
    await kernel.close();
  }
}

function bridge(name: string): KernelObject {
  return { kind: 'link', type: 'bridge', name };
}

function sysctl(path: string, value: string | number = ''): Sysctl {
  return { kind: 'sysctl', path, value: String(value) };
}

async function there(kernel: Kernel): Promise<string[]> {
  return (await kernel.view()).links.map((link) => link.name).sort();
}

test('errors arrive as what they are', () =>
  withKernel(async (kernel) => {
    const port: KernelObject = { kind: 'link', type: 'veth', name: 'bt1', master: 'br9', peer: { name: 'p' } };
    await assert.rejects(kernel.apply('endpoint/1', [port]), (error) => {
      assert.ok(error instanceof BerthError);
      assert.equal(error.code, 'KERNEL_REFUSED');
      assert.equal(error.message, 'cannot make link bt1: there is no br9');
      return true;
    });
  }));

test('what takes too long is KERNEL_BUSY, has no effect in the end, and does not hold the others for ever', () =>
  withKernel(
    async (kernel) => {
      await kernel.apply('network/1', [bridge('old')]);
      const late = kernel.apply('network/1', [bridge('old'), bridge('late'), sysctl('test/hang', 1200)]);
      const queued = kernel.apply('network/2', [bridge('queued')]);
      for (const one of [late, queued])
        await assert.rejects(one, { code: 'KERNEL_BUSY', message: /network\/[12].* within 0\.4 s/ });
      await setTimeout(1600);
      assert.deepEqual(await there(kernel), ['link old']);
      await kernel.apply('network/2', [bridge('queued')]);
      assert.deepEqual(await there(kernel), ['link old', 'link queued']);
    },
    { timeout: 400 },
  ));

test('what an owner has already need not wait for the thread, unless something was amiss since', () =>
  withKernel(async (kernel) => {
    const busy = () => kernel.apply(`network/${Math.random()}`, [sysctl(`test/hang`, 300)]);
    const first = async (one: Promise<unknown>, other: Promise<unknown>) =>
      Promise.race([one.then(() => 'one'), other.then(() => 'other')]);
    const mine = () => kernel.apply('network/1', [bridge('mine')]);
    await mine();
    assert.equal(await first(busy(), mine()), 'other');
    await assert.rejects(kernel.packets({ link: 'none', hears: [] }));
    assert.equal(await first(busy(), mine()), 'other', 'that changed nothing');
    await assert.rejects(
      kernel.apply('endpoint/1', [{ kind: 'link', type: 'veth', name: 'v', master: 'br9', peer: { name: 'p' } }]),
    );
    assert.equal(await first(busy(), mine()), 'one', 'after a refusal');
    assert.equal(await first(busy(), kernel.apply('network/1', [bridge('yours')])), 'one', 'something else');
    await mine();
    const removed = kernel.remove('network/1');
    await Promise.all([removed, mine()]);
    assert.ok((await there(kernel)).includes('link mine'), 'it was removed meanwhile');
    for (const [why, doubt] of [
      ['an audit', () => kernel.audit({ repair: true })],
      ['steps', () => kernel.execute([])],
      ['another word', async () => kernel.declare('network/1', [bridge('mine')])],
      ['the end of the thread', () => kernel.apply('network/2', [sysctl('test/die')]).catch(() => undefined)],
    ] as const) {
      await mine();
      await doubt();
      assert.equal(await first(busy(), mine()), 'one', why);
    }
  }));

test('what came too late is not undone when it has been asked for again since', () =>
  withKernel(
    async (kernel) => {
      const objects = [bridge('late'), sysctl('test/hang', 1000)];
      await assert.rejects(kernel.apply('network/1', objects), { code: 'KERNEL_BUSY' });
      await kernel.apply('network/1', objects);
      await setTimeout(50);
      assert.ok((await there(kernel)).includes('link late'));
    },
    { timeout: 600 },
  ));

test('a thread that dies is started again with all that was declared, and what it was at is tried once more', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-'));
  try {
    await withKernel(async (kernel) => {
      await kernel.apply('network/1', [bridge('one')]);
      kernel.declare('network/2', [bridge('two')]);
      await kernel.apply('network/3', [bridge('three')]);
      await kernel.remove('network/3');
      const fatal = kernel.apply('network/4', [bridge('four'), sysctl('test/die-once', join(folder, 'died'))]);
      const behind = kernel.apply('network/5', [bridge('five')]);
      await Promise.all([fatal, behind]);
      assert.deepEqual(await there(kernel), ['link five', 'link four', 'link one', 'link two', 'sysctl test/die-once']);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a request that kills the thread twice is given up, and the others live on', () =>
  withKernel(async (kernel) => {
    await kernel.apply('network/1', [bridge('one')]);
    const fatal = kernel.apply('network/2', [sysctl('test/die')]);
    const other = kernel.apply('network/3', [bridge('three')]);
    await assert.rejects(fatal, { code: 'INTERNAL', message: /network\/2/ });
    await other;
    assert.deepEqual(await there(kernel), ['link one', 'link three']);
  }));

test('steps are not repeated when the thread dies', () =>
  withKernel(async (kernel) => {
    await assert.rejects(kernel.execute([{ make: sysctl('test/die') }]), { code: 'INTERNAL', message: /1 steps/ });
    assert.deepEqual(await there(kernel), []);
  }));

test('requests wait while the thread is started again, and fail in time if it cannot be', () =>
  withKernel(
    async (kernel) => {
      // Dies of taking over, each time.
      kernel.declare('network/1', [sysctl('test/die')]);
      await assert.rejects(kernel.audit({ repair: true }), { code: 'KERNEL_BUSY' });
      await assert.rejects(kernel.view(), { code: 'KERNEL_BUSY' });
    },
    { timeout: 500, auditTimeout: 500 },
  ));

async function heardOn(port: PacketPort, text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  port.onFrame((frame) => resolve(Buffer.from(frame).toString()));
  port.send(Buffer.from(text));
  return promise;
}

test('packet ports are opened again when the thread is started again, unless their link is gone by then', () =>
  withKernel(async (kernel) => {
    await kernel.apply('network/1', [bridge('one')]);
    await kernel.apply('network/2', [bridge('two')]);
    const request: PacketRequest = { link: 'one', hears: ['arp'] };
    const one = await kernel.packets(request);
    const closed = await kernel.packets(request);
    const two = await kernel.packets({ link: 'two', hears: ['arp'] });
    const ended = new Promise<string>((resolve) => {
      two.onEnded(({ message }) => resolve(message));
    });
    one.onEnded(() => assert.fail('its link was there all the time'));
    closed.onEnded(() => assert.fail('nobody had it open'));
    closed.onFrame(() => assert.fail('nobody had it open'));
    // What is there now is in the thread's memory only, and of the link two it will not be told.
    await kernel.remove('network/2');
    one.send(Buffer.from('die'));
    closed.close();
    assert.equal(await ended, 'there is no interface two');
    assert.equal(await heardOn(one, 'hello'), 'hello');
    one.close();
    two.close();
  }));

test('a port that the thread dies of opening is opened by the next one', () =>
  withKernel(async (kernel) => {
    await kernel.apply('network/1', [bridge('one')]);
    const first = await kernel.packets({ link: 'one', hears: ['arp'] });
    first.send(Buffer.from('die'));
    const second = await kernel.packets({ link: 'one', hears: ['arp'] });
    assert.equal(await heardOn(second, 'hello'), 'hello');
    assert.equal(await heardOn(first, 'you too'), 'you too');
  }));

test('closing the kernel ends the ports', async () => {
  const kernel = await openKernel({ program });
  await kernel.apply('network/1', [bridge('one')]);
  const port = await kernel.packets({ link: 'one', hears: ['arp'] });
  const ended: string[] = [];
  port.onEnded(({ code }) => ended.push(code));
  await kernel.close();
  port.send(Buffer.from('lost'));
  port.close();
  assert.deepEqual(ended, ['SHUTTING_DOWN']);
  await assert.rejects(kernel.packets({ link: 'one', hears: [] }), { code: 'SHUTTING_DOWN' });
});

test('closing lets the running request finish, refuses what waits, and everything after', async () => {
  const kernel = await openKernel({ program });
  const running = kernel.apply('network/1', [sysctl('test/hang', 100)]);
  const waiting = kernel.apply('network/2', [bridge('two')]);
  const refused = assert.rejects(waiting, { code: 'SHUTTING_DOWN' });
  await kernel.close();
  await running;
  await refused;
  await assert.rejects(kernel.view(), { code: 'SHUTTING_DOWN' });
  kernel.declare('network/3', []);
  await kernel.close();
});

test('a thread that cannot be started is an error that says why', async () => {
  const broken = new URL('data:text/javascript,throw new Error("no such kernel")');
  await assert.rejects(openKernel({ program: broken }), { message: 'no such kernel' });
});
