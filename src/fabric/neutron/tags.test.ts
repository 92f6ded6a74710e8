import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OUR_TAGS, tagOf } from './tags.ts';

test('a tag has neither slashes nor dots, and no two marks have the same', () => {
  assert.equal(tagOf('berth/h-1_a/0123456789ab'), 'berth:h-1_a:0123456789ab');
  assert.equal(tagOf('berth/node.example.com/0123456789ab'), 'berth:node~2eexample~2ecom:0123456789ab');
  assert.notEqual(tagOf('berth/a~2eb/x'), tagOf('berth/a.b/x'));
  assert.notEqual(tagOf('berth/a:b/x'), tagOf('berth/a/b/x'));
  assert.ok(tagOf('berth/h1/').startsWith(OUR_TAGS));
  assert.ok(tagOf('berth/node.example.com/x').startsWith(tagOf('berth/node.example.com/')));
});
