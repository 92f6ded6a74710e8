import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import type { NetworkId } from '../../model/ids.ts';
import { within } from '../../openstack/bounds.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { fakeCloud, json } from '../../openstack/testing/fake-cloud.ts';
import { leaveKuryrs } from './kuryr-removal.ts';
import { existingMark, kuryrMarks } from './marks.ts';
import type { NetworkRecord } from './records.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

const id = 'a'.repeat(64) as NetworkId;
const other = 'b'.repeat(64) as NetworkId;
const record: NetworkRecord = {
  id,
  phase: 'leaving',
  origin: 'adopted',
  key: 'k',
  network: 'n1',
  subnets: ['s1'],
  tags: [existingMark(id), ...kuryrMarks(id)],
  subnetTags: [{ subnet: 's2', tag: 'pool' }],
  subnetPools: ['p1'],
};
const gone = json(undefined, 204);
let left: string[] = [];
beforeEach(() => (left = []));

const leave = (tags: readonly string[], pool = gone) => {
  let now = tags;
  cloud.answer({
    'GET /v2.0/networks/n1': (...given) => json({ network: { id: 'n1', name: 'n', tags: now } })(...given),
    'PUT /v2.0/networks/n1/tags': (asked, ...given) => {
      now = (asked.body as { tags: string[] }).tags;
      json(asked.body)(asked, ...given);
    },
    'GET /v2.0/subnets/s2': (...given) => {
      const isDone = cloud.lines.includes('PUT /v2.0/subnets/s2/tags');
      const subnet = { id: 's2', network_id: 'n1', cidr: '10.0.0.0/24', ip_version: 4, tags: isDone ? [] : ['pool'] };
      json({ subnet })(...given);
    },
    'PUT /v2.0/subnets/s2/tags': json({ tags: [] }),
    'DELETE /v2.0/subnets/s1': gone,
    'DELETE /v2.0/subnetpools/p1': pool,
  });
  const removing = async (removal: Promise<boolean>) => void (await removal);
  const parts = { neutron, removing, left: (_id: NetworkId, sentence: string) => void left.push(sentence) };
  return leaveKuryrs(parts, record, within(5000)).then(() => now);
};
const changes = () => cloud.lines.filter((line) => !line.startsWith('GET'));

test('what kuryr has made in a network that was there goes with its last Docker network', async () => {
  assert.deepEqual(await leave(['production', ...record.tags]), ['production']);
  assert.deepEqual(changes(), [
    'PUT /v2.0/networks/n1/tags',
    'DELETE /v2.0/subnets/s1',
    'PUT /v2.0/subnets/s2/tags',
    'DELETE /v2.0/subnetpools/p1',
  ]);
  assert.deepEqual(left, []);
});

test('and not before', async () => {
  const others = [existingMark(other), ...kuryrMarks(other)];
  assert.deepEqual(await leave([...record.tags, ...others]), others);
  assert.deepEqual(changes(), ['PUT /v2.0/networks/n1/tags']);
  assert.match(left.join(), /others have Docker networks there/);
});

test('a subnet pool that has subnets stays', async () => {
  const refusal = { type: 'SubnetPoolDeleteError', message: 'in use', detail: '' };
  await leave([...record.tags], json({ NeutronError: refusal }, 400));
  assert.match(left.join(), /the subnet pool p1 stays/);
});
