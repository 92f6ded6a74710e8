import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openSession } from '../../../openstack/keystone/session.ts';
import { createNeutron } from '../../../openstack/neutron/neutron.ts';
import { type Answer, fakeCloud, json } from '../../../openstack/testing/fake-cloud.ts';
import { findRights } from './rights.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

const shop = { name: 'shop', network: 'n1' };
const refusal = (status: number, type: string) => json({ NeutronError: { type, message: 'no', detail: '' } }, status);
/** Judges as a policy does, by what the port has. */
const judge =
  (answerOf: (port: Readonly<Record<string, unknown>>) => Answer): Answer =>
  (asked, response, nth) =>
    answerOf((asked.body as { port: Record<string, unknown> }).port)(asked, response, nth);

test('a right is there when Neutron finds something else wrong', async () => {
  cloud.answer({
    'POST /v2.0/ports': judge((port) =>
      'binding:host_id' in port ? refusal(403, 'PolicyNotAuthorized') : refusal(404, 'SubnetNotFound'),
    ),
  });
  const found = await findRights(neutron, 'h1', [shop], {});
  assert.deepEqual(
    found.map(({ rule, network, allowed }) => [rule, network, allowed]),
    [
      ['create_port', undefined, true],
      ['create_port:binding:host_id', undefined, false],
      ['create_port:mac_address', 'shop', true],
      ['create_port:fixed_ips:ip_address', 'shop', true],
    ],
  );
});

test('every port that is asked for is one that cannot be made', async () => {
  cloud.answer({ 'POST /v2.0/ports': refusal(404, 'SubnetNotFound') });
  await findRights(neutron, 'h1', [shop], {});
  const nowhere = /^00000000-0000-8000-8000-000000000000$/;
  assert.equal(cloud.asked.length, 4);
  for (const { body } of cloud.asked) {
    const { port } = body as { port: { fixed_ips: readonly { subnet_id: string }[] } };
    assert.match(port.fixed_ips[0]!.subnet_id, nowhere);
  }
});

test('nothing is known without a network', async () => {
  cloud.answer({});
  assert.deepEqual(await findRights(neutron, 'h1', [], {}), []);
});

test('one that is made nevertheless is removed', async () => {
  cloud.answer({
    'POST /v2.0/ports': json({ port: { id: 'p1', network_id: 'n1' } }, 201),
    'DELETE /v2.0/ports/p1': (_, response) => void response.writeHead(204).end(),
  });
  const found = await findRights(neutron, 'h1', [shop], {});
  assert.ok(found.every(({ allowed }) => allowed === true));
  assert.equal(cloud.lines.filter((line) => line === 'DELETE /v2.0/ports/p1').length, found.length);
});

for (const [what, answer] of [
  ['a quota, which is looked at first', refusal(409, 'OverQuota')],
  ['a server that does not work', refusal(500, 'HTTPInternalServerError')],
  ['a token that is refused', refusal(401, 'Unauthorized')],
] as const)
  test(`nothing is known of a right from ${what}`, async () => {
    cloud.answer({ 'POST /v2.0/ports': answer });
    const found = await findRights(neutron, 'h1', [shop], {});
    assert.equal(found.length, 4);
    assert.ok(found.every(({ allowed }) => typeof allowed === 'object'));
  });
