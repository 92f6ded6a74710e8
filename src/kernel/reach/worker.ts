/** The thread of one request: sends, waits in poll(2), and ends. */

import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { asBerthError } from '../../model/errors.ts';
import { openNamespaces } from '../namespace.ts';
import { openSyscalls } from '../syscalls.ts';
import type { ReachAnswer, ReachReport, ReachRequest } from './reach.ts';
import { echoTask, questionTask, type Task } from './tasks.ts';

const CLOCK_REALTIME = 0;
const POLLIN = 1;
const POLLERR = 8;
/** Milliseconds after which it looks whether it is to end. */
const LOOK = 50;
/** Targets that are begun with at a time, so that no queue of a neighbour that is still asked for overflows. */
const AT_ONCE = 32;

/** @throws BerthError KERNEL_REFUSED, KERNEL_LACKS */
function run({ netns, echoes = [], questions = [] }: ReachRequest): ReachAnswer {
  const syscalls = openSyscalls();
  const namespaces = openNamespaces(syscalls);
  const poll = koffi.load(null).func('int poll(void *, unsigned long, int)');
  const clockGettime = koffi.load(null).func('int clock_gettime(int, void *)');
  const timespec = new BigInt64Array(2);
  const clock = (): number => {
    clockGettime(CLOCK_REALTIME, timespec);
    return Number(timespec[0]) * 1e3 + Number(timespec[1]) / 1e6;
  };
  const base = Math.floor(Math.random() * 0x10000);

  return namespaces.within(netns, () => {
    const asked = echoes.map((echo, index) => ({
      open: () => echoTask(syscalls, echo, (base + index) & 0xffff, clock),
    }));
    const echoAnswers: ReachAnswer['echoes'][number][] = [];
    for (let from = 0; from < asked.length; from += AT_ONCE) {
      const tasks = asked.slice(from, from + AT_ONCE).map(({ open }) => open());
      finish(tasks);
      echoAnswers.push(...tasks.map((task) => task.answer()));
    }
    const questionAnswers: ReachAnswer['questions'][number][] = [];
    for (let from = 0; from < questions.length; from += AT_ONCE) {
      const tasks = questions.slice(from, from + AT_ONCE).map((question) => questionTask(syscalls, question));
      finish(tasks);
      questionAnswers.push(...tasks.map((task) => task.answer()));
    }
    return { echoes: echoAnswers, questions: questionAnswers };
  });

  function finish(tasks: readonly Task[]): void {
    // struct pollfd
    const descriptors = new DataView(new ArrayBuffer(tasks.length * 8));
    for (;;) {
      const now = performance.now();
      for (const task of tasks) task.tick(now);
      const dues = tasks.flatMap((task) => task.due() ?? []);
      if (dues.length === 0) break;
      for (const [index, { fd, due }] of tasks.entries()) {
        descriptors.setInt32(index * 8, due() === undefined ? -1 : fd, true);
        descriptors.setInt16(index * 8 + 4, POLLIN, true);
        descriptors.setInt16(index * 8 + 6, 0, true);
      }
      const wait = Math.ceil(Math.min(LOOK, Math.max(0, Math.min(...dues) - performance.now())));
      if ((poll(new Uint8Array(descriptors.buffer), tasks.length, wait) as number) <= 0) continue;
      const heard = performance.now();
      for (const [index, task] of tasks.entries()) {
        if ((descriptors.getInt16(index * 8 + 6, true) & (POLLIN | POLLERR)) !== 0) task.hear(heard);
      }
    }
    for (const { fd } of tasks) syscalls.close(fd);
  }
}

if (!isMainThread && parentPort !== null) {
  let report: ReachReport;
  try {
    report = { answer: run(workerData as ReachRequest) };
  } catch (thrown) {
    const { code, message } = asBerthError(thrown);
    report = { refusal: { code, message } };
  }
  parentPort.postMessage(report);
}
