import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDatabaseAddress, parseDatabaseAddress } from './address.ts';

test('addresses of a database are read and written as Open vSwitch does', () => {
  for (const text of ['unix:/run/openvswitch/db.sock', 'tcp:127.0.0.1:6640', 'tcp:[::1]:6640']) {
    const address = parseDatabaseAddress(text);
    assert.ok(address !== undefined, text);
    assert.equal(formatDatabaseAddress(address), text);
  }
  const bad = ['', 'unix:', 'unix:db.sock', `unix:/${'x'.repeat(120)}`, '/run/db.sock', 'tcp:localhost:6640'];
  for (const text of [
    ...bad,
    'tcp:127.0.0.1',
    'tcp:127.0.0.1:0',
    'tcp:127.0.0.1:70000',
    'tcp:::1:6640',
    'ssl:127.0.0.1:6640',
  ]) {
    assert.equal(parseDatabaseAddress(text), undefined, text);
  }
});
