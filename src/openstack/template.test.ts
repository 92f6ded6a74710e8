import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathTemplate } from './template.ts';

const id = '7f3c2b1a-0000-4000-8000-0123456789ab';

test('a path says what is done, and not to which object', () => {
  for (const [path, template] of [
    ['/v2.0/ports', '/v2.0/ports'],
    [`/v2.0/ports/${id}`, '/v2.0/ports/{id}'],
    [`/networking/v2.0/routers/${id}/add_router_interface`, '/networking/v2.0/routers/{id}/add_router_interface'],
    [`/v2.0/networks/${id}/tags/berth%2Fh1%2F0123`, '/v2.0/networks/{id}/tags/{tag}'],
    [`/v2.0/networks/${id}/tags/blue`, '/v2.0/networks/{id}/tags/{tag}'],
    [`/v2.0/networks/${id}/tags`, '/v2.0/networks/{id}/tags'],
    ['/v2.0/quotas/0123456789abcdef0123456789abcdef/details', '/v2.0/quotas/{id}/details'],
    ['/v3/auth/tokens', '/v3/auth/tokens'],
  ])
    assert.equal(pathTemplate(path!), template);
});
