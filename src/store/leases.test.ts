import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createLeaseClock, runLeaseTimer } from './leases.ts';

test('a lease ends when nobody renews it, and has its whole time again when nobody could', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let now = 0;
    const pass = (milliseconds: number): void => {
      now += milliseconds;
      mock.timers.tick(milliseconds);
    };
    const clock = createLeaseClock(() => now);
    const ended: string[] = [];
    const timer = runLeaseTimer(
      clock,
      () => now,
      () => {
        for (const lease of clock.overdue()) {
          ended.push(lease);
          clock.end(lease);
        }
      },
    );
    clock.grant('first', 2);
    clock.grant('second', 2);
    timer.arm();
    pass(1900);
    assert.ok(clock.keepAlive('first'));
    timer.arm();
    pass(200);
    assert.deepEqual(ended, ['second']);

    // The first has 1.8 s left, and the process stands still for 4.
    now += 4000;
    timer.arm();
    pass(1900);
    assert.deepEqual(ended, ['second']);
    assert.ok(clock.keepAlive('first'));
    timer.arm();
    pass(2000);
    assert.deepEqual(ended, ['second', 'first']);
    timer.stop();
  } finally {
    mock.timers.reset();
  }
});
