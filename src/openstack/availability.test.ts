import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createAvailability } from './availability.ts';

it('is asked again after a pause, by one at a time, and the pauses grow', () => {
  let now = 0;
  const server = createAvailability(() => now);
  assert.equal(server.away(), undefined);
  server.failed('a');
  assert.equal(server.away(), 'a');
  assert.equal(server.remaining(), 250);
  now = 250;
  assert.equal(server.away(), undefined);
  assert.equal(server.away(), 'a');
  server.failed('b');
  assert.equal(server.remaining(), 500);
  now = 750;
  assert.equal(server.away(), undefined);
  server.undecided();
  assert.equal(server.away(), undefined);
  server.answered();
  assert.equal(server.away(), undefined);
  assert.equal(server.away(), undefined);
  assert.equal(server.remaining(), 0);
});

it('counts as one what many have found out at the same time, and never pauses long', () => {
  let now = 0;
  const server = createAvailability(() => now);
  for (let i = 0; i < 50; i++) server.failed('a');
  assert.equal(server.remaining(), 250);
  for (let i = 0; i < 50; i++) {
    now += server.remaining();
    server.failed('a');
  }
  assert.equal(server.remaining(), 5000);
});
