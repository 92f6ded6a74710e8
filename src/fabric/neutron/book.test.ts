import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import { openBook } from './book.ts';
import { memoryNotes } from './testing/notes.ts';

const endpoint = 'e'.repeat(64) as EndpointId;
const record = { endpoint, phase: 'held' as const, network: 'a'.repeat(64) as NetworkId, port: 'p1' };

test('what is written down anew while it is deleted stays, here and in the store', async () => {
  const notes = memoryNotes();
  const { outside } = await openBook(notes, assert.fail);
  await outside.put(record);
  const remove = notes.delete.bind(notes);
  const anew = { ...record, phase: 'leaving' as const };
  notes.delete = async (name) => {
    await remove(name);
    await outside.put(anew);
  };
  assert.equal(await outside.delete(endpoint), false);
  assert.deepEqual([outside.all(), notes.kept.size], [[anew], 1]);
  notes.delete = remove;
  assert.equal(await outside.delete(endpoint, record), false);
  assert.equal(await outside.delete(endpoint, anew), true);
  assert.deepEqual([outside.all(), notes.kept.size], [[], 0]);
});

test('what the store will not delete stays', async () => {
  const notes = memoryNotes();
  const { outside } = await openBook(notes, assert.fail);
  await outside.put(record);
  notes.delete = () => Promise.reject(new Error('disk full'));
  await assert.rejects(outside.delete(endpoint), /disk full/);
  assert.deepEqual([outside.all(), notes.kept.size], [[record], 1]);
});
