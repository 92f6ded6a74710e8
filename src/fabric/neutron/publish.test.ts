import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { PublishedPort } from '../../docker/driver.ts';
import { parseAddress } from '../../model/address.ts';
import { checkPublished, forwardingText, planForwardings } from './publish.ts';

const tcp = (port: number, first?: number, last = first): PublishedPort => ({
  protocol: 6,
  port,
  ...(first !== undefined && last !== undefined && { outside: { first, last } }),
});
const plan = (published: readonly PublishedPort[], ...taken: readonly [number, number][]) =>
  planForwardings(
    published,
    taken.map(([protocol, external]) => ({ protocol, external, internal: 1 })),
  ).map(({ internal, external }) => `${internal}:${external}`);

it('a port outside is the one that is wanted, the first free one of a range, or the same as inside', () => {
  assert.deepEqual(plan([tcp(80, 8080), tcp(443)], [17, 8080], [6, 1]), ['80:8080', '443:443']);
  assert.deepEqual(plan([tcp(80, 8080, 8082)], [6, 8080], [6, 8081]), ['80:8082']);
  assert.deepEqual(plan([tcp(80, 8080, 8082), tcp(81, 8080, 8082)]), ['80:8080', '81:8081']);
  assert.throws(() => plan([tcp(80, 8080, 8081)], [6, 8080], [6, 8081]), {
    code: 'NEUTRON_CONFLICT',
    message: /8080-8081\/tcp/,
  });
  assert.throws(() => plan([tcp(443)], [6, 443]), { code: 'NEUTRON_CONFLICT' });
});

it('the same port twice, as engines tell -p for both families, is one; two outside for one inside are refused', () => {
  assert.deepEqual(plan([tcp(80, 8080), tcp(80, 8080)]), ['80:8080']);
  assert.throws(() => plan([tcp(80, 8080), tcp(80, 8081)]), { code: 'BAD_OPTION', message: /80\/tcp/ });
  assert.deepEqual(plan([tcp(53, 53), { ...tcp(53, 53), protocol: 17 }]), ['53:53', '53:53']);
});

it('an address of the host is refused, and the floating IP itself is not', () => {
  const at = (text: string) => [{ ...tcp(80), at: parseAddress(text)! }];
  checkPublished(at('172.24.4.9'), '172.24.4.9');
  assert.throws(() => checkPublished(at('127.0.0.1'), '172.24.4.9'), { code: 'BAD_OPTION', message: /127\.0\.0\.1/ });
});

it('a forwarding reads as docker port tells of one', () => {
  const text = forwardingText('172.24.4.9', { protocol: 132, internal: 7, external: 9 });
  assert.equal(text, '7/sctp -> 172.24.4.9:9');
});
