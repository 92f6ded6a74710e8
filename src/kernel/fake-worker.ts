/**
 * For tests of the main thread's side: a kernel thread whose kernel is in memory, and in a file that outlives it. Sysctls
 * under `test/` make it misbehave: `test/hang` takes as many milliseconds as its value says, `test/die` ends the thread,
 * and `test/die-once` only as long as the file that it names is not there.
 */

import { existsSync, writeFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { asBerthError, BerthError } from '../model/errors.ts';
import type { Mac } from '../model/mac.ts';
import { createFakeDriver } from './fake-driver.ts';
import type { KernelObject, ObjectKey } from './objects.ts';
import type { Answer, Command, Outcome, PortNotice, Report } from './protocol.ts';
import { createReconciler } from './reconciler.ts';

const port = parentPort!;
const driver = createFakeDriver();
const make = driver.make.bind(driver);
driver.make = (object: KernelObject) => {
  if (object.kind === 'sysctl') misbehave(object.path, object.value);
  make(object);
};
const reconciler = createReconciler([driver]);

function misbehave(path: string, value: string): void {
  if (path === 'test/hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(value));
  if (path === 'test/die') process.exit(1);
  if (path === 'test/die-once' && !existsSync(value)) {
    writeFileSync(value, '');
    process.exit(1);
  }
}

function refused(thrown: unknown): Outcome {
  const { code, message } = asBerthError(thrown);
  return { type: 'refused', refusal: { code, message } };
}

function handle(command: Command): Answer {
  switch (command.type) {
    case 'apply':
      reconciler.apply(command.owner, command.objects);
      return { type: 'done' };
    case 'remove':
      return {
        type: 'removed',
        each: reconciler.remove(command.removals).map((error) => (error ? refused(error) : { type: 'done' })),
      };
    case 'declare':
      reconciler.declare(command.owner, command.objects);
      return { type: 'done' };
    case 'audit':
      return { type: 'drifts', drifts: reconciler.audit({ repair: command.repair }) };
    case 'execute':
      reconciler.execute(command.steps);
      return { type: 'done' };
    case 'announce':
      return { type: 'done' };
    case 'before-resolver':
    case 'resolver-stream':
      throw new BerthError('KERNEL_LACKS', 'this kernel is in memory');
    case 'neighbours':
      return { type: 'neighbours', neighbours: [] };
    case 'entries':
      return { type: 'entries', entries: [] };
    case 'open-port':
      if (!driver.there.has(`link ${command.request.link}` as ObjectKey))
        throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${command.request.link}`);
      return { type: 'port', mac: '02:00:00:00:00:01' as Mac, index: 1 };
    case 'view': {
      // The names of links tell what is there, and the addresses are none.
      const links = [...driver.there.keys()].map((name, index) => ({
        index,
        name,
        mtu: 0,
        up: true,
        running: true,
        loopback: false,
      }));
      return { type: 'view', view: { links, addresses: [], routes: [] } };
    }
    case 'belongings':
      return { type: 'belongings', found: [] };
    case 'restore':
      for (const [owner, objects] of command.declared) reconciler.declare(owner, objects);
      reconciler.audit({ repair: true });
      return { type: 'done' };
    case 'close':
      process.exit(0);
  }
}

/** A port hears what it sends, and `die` ends the thread. */
function notice(notice: PortNotice): void {
  if (notice.type === 'flush-port') port.postMessage({ type: 'port-flushed', port: notice.port } satisfies Report);
  if (notice.type !== 'send-frame') return;
  if (Buffer.from(notice.frame).toString() === 'die') process.exit(1);
  port.postMessage({ type: 'frames', port: notice.port, frames: [notice.frame] } satisfies Report);
}

port.on('message', (command: Command | PortNotice) => {
  if (
    command.type === 'send-frame' ||
    command.type === 'frames-taken' ||
    command.type === 'flush-port' ||
    command.type === 'close-port'
  ) {
    notice(command);
    return;
  }
  let answer: Answer;
  try {
    answer = handle(command);
  } catch (thrown) {
    answer = refused(thrown);
  }
  port.postMessage({ type: 'answer', answer } satisfies Report);
});
port.postMessage({ type: 'ready' } satisfies Report);
