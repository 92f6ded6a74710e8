import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { detailsOf } from '../failure.ts';
import { openSession } from '../keystone/session.ts';
import { failureOf, fakeCloud, inTurn, json } from '../testing/fake-cloud.ts';
import { createNeutron } from './neutron.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(openSession({ authentication: { kind: 'none', endpoint: cloud.url }, backOff: 1 }));
after(() => neutron.close());

const error = (type: string, status: number, message = 'no') =>
  json({ NeutronError: { type, message, detail: '' } }, status, { 'X-Openstack-Request-Id': 'req-12ab' });
const network = { id: 'n1', name: 'blue', tags: ['a'], mtu: 1450, 'provider:segmentation_id': null, unheard_of: 1 };

describe('lists', () => {
  it('reads what it knows, and null as nothing', async () => {
    cloud.answer({ 'GET /v2.0/networks': json({ networks: [network] }) });
    const [found] = await neutron.networks.list({ name: 'blue', shared: false });
    assert.deepEqual(cloud.lines, ['GET /v2.0/networks?name=blue&shared=false']);
    assert.equal(found?.mtu, 1450);
    assert.equal(found['provider:segmentation_id'], undefined);
    assert.ok(!('unheard_of' in found));
  });

  it('asks for certain fields only, and then needs no others', async () => {
    cloud.answer({ 'GET /v2.0/ports': json({ ports: [{ id: 'p1' }] }) });
    const found = await neutron.ports.list({ device_id: ['a', 'b'] }, { fields: ['id'] });
    assert.deepEqual(found, [{ id: 'p1' }]);
    assert.deepEqual(cloud.lines, ['GET /v2.0/ports?device_id=a&device_id=b&fields=id']);
  });

  it('filters by tags with commas, and by several conditions for fixed addresses', async () => {
    cloud.answer({ 'GET /v2.0/ports': json({ ports: [] }) });
    await neutron.ports.list({ tags: ['x', 'y'], fixed_ips: ['subnet_id=s', 'ip_address=10.0.0.5'] });
    assert.deepEqual(cloud.lines, [
      'GET /v2.0/ports?tags=x%2Cy&fixed_ips=subnet_id%3Ds&fixed_ips=ip_address%3D10.0.0.5',
    ]);
  });

  it('follows the pages by their markers, on the server that was asked', async () => {
    const next = (marker: string) => [
      { rel: 'next', href: `http://elsewhere.invalid/v2.0/ports?limit=1&marker=${marker}` },
    ];
    cloud.answer({
      'GET /v2.0/ports': inTurn(
        json({ ports: [{ id: 'a' }], ports_links: next('a') }),
        json({ ports: [{ id: 'b' }], ports_links: [...next('b'), { rel: 'previous', href: 'x' }] }),
        json({ ports: [], ports_links: [{ rel: 'previous', href: 'x' }] }),
      ),
    });
    const found = await neutron.ports.list({}, { fields: ['id'], pageSize: 1 });
    assert.deepEqual(found, [{ id: 'a' }, { id: 'b' }]);
    assert.deepEqual(cloud.lines, [
      'GET /v2.0/ports?fields=id&limit=1',
      'GET /v2.0/ports?fields=id&limit=1&marker=a',
      'GET /v2.0/ports?fields=id&limit=1&marker=b',
    ]);
  });

  it('does not turn in circles with a server that does', async () => {
    const links = [{ rel: 'next', href: '/?marker=a' }];
    cloud.answer({ 'GET /v2.0/ports': json({ ports: [{ id: 'a' }], ports_links: links }) });
    await assert.rejects(neutron.ports.list({}, { fields: ['id'] }), { code: 'OPENSTACK_BAD_ANSWER' });
  });

  it('asks in parts for very many', async () => {
    cloud.answer({ 'GET /v2.0/ports': inTurn(json({ ports: [{ id: 'a' }] }), json({ ports: [{ id: 'b' }] })) });
    const ids = Array.from({ length: 150 }, (_, i) => `${i}`);
    assert.deepEqual(await neutron.ports.list({ id: ids }, { fields: ['id'] }), [{ id: 'a' }, { id: 'b' }]);
    assert.match(cloud.lines[1]!, /\?id=100&.*&id=149&fields=id$/);
  });

  it('asks nothing for a list of no values, which Neutron would take for no condition', async () => {
    assert.deepEqual(await neutron.ports.list({ id: [] }), []);
    assert.deepEqual(cloud.lines, []);
    await assert.rejects(neutron.ports.list({ mac_address: '' }), { code: 'INTERNAL' });
  });

  it('says what it does not understand', async () => {
    cloud.answer({ 'GET /v2.0/ports': json({ ports: [{ id: 5 }] }) });
    await assert.rejects(neutron.ports.list(), { code: 'OPENSTACK_BAD_ANSWER', message: /GET \/ports.*ports\.0\.id/ });
    cloud.answer({ 'GET /v2.0/ports': json({ networks: [] }) });
    await assert.rejects(neutron.ports.list(), { code: 'OPENSTACK_BAD_ANSWER', message: /ports/ });
  });
});

describe('single objects', () => {
  it('reads one, and knows that there is none', async () => {
    cloud.answer({
      'GET /v2.0/networks/n1': json({ network }),
      'GET /v2.0/networks/n2': error('NetworkNotFound', 404),
    });
    assert.equal((await neutron.networks.get('n1'))?.name, 'blue');
    assert.equal(await neutron.networks.get('n2'), undefined);
  });

  it('does not take a web server that knows no such page for Neutron', async () => {
    cloud.answer({
      'GET /v2.0/networks/n1': (_, response) => {
        response.writeHead(404, { 'Content-Type': 'text/html' }).end('<h1>Not Found</h1>');
      },
    });
    await assert.rejects(neutron.networks.get('n1'), {
      code: 'OPENSTACK_BAD_ANSWER',
      message: /404, text\/html, "Not Found"/,
    });
  });

  it('makes, changes, removes', async () => {
    cloud.answer({
      'POST /v2.0/networks': json({ network }, 201),
      'PUT /v2.0/networks/n1': json({ network: { ...network, name: 'red' } }),
      'DELETE /v2.0/networks/n1': inTurn((_, response) => response.writeHead(204).end(), error('NetworkNotFound', 404)),
    });
    assert.equal((await neutron.networks.create({ name: 'blue' })).id, 'n1');
    assert.equal((await neutron.networks.update('n1', { name: 'red' })).name, 'red');
    assert.equal(await neutron.networks.remove('n1'), true);
    assert.equal(await neutron.networks.remove('n1'), false);
    assert.deepEqual(
      cloud.asked.map(({ body }) => body),
      [{ network: { name: 'blue' } }, { network: { name: 'red' } }, undefined, undefined],
    );
  });

  it('makes many in one request', async () => {
    cloud.answer({ 'POST /v2.0/networks': json({ networks: [network, { ...network, id: 'n2' }] }, 201) });
    const made = await neutron.networks.createMany([{ name: 'a' }, { name: 'b' }]);
    assert.deepEqual(
      made.map(({ id }) => id),
      ['n1', 'n2'],
    );
    assert.deepEqual(cloud.asked[0]?.body, { networks: [{ name: 'a' }, { name: 'b' }] });
    await assert.rejects(neutron.networks.createMany([{ name: 'a' }]), { code: 'OPENSTACK_BAD_ANSWER' });
    assert.deepEqual(await neutron.networks.createMany([]), []);
  });

  it('changes only a certain revision, and does not repeat that', async () => {
    cloud.answer({ 'PUT /v2.0/ports/p1': error('RevisionNumberConstraintFailed', 412) });
    await assert.rejects(neutron.ports.update('p1', {}, { ifRevision: 7 }), { code: 'NEUTRON_CHANGED' });
    assert.equal(cloud.asked[0]?.headers['if-match'], 'revision_number=7');
    cloud.answer({ 'PUT /v2.0/ports/p2': error('HTTPInternalServerError', 500) });
    await assert.rejects(neutron.ports.update('p2', {}, { ifRevision: 7 }), { code: 'OPENSTACK_FAILED' });
    assert.equal(cloud.asked.length, 2);
  });

  it('sets all tags at once', async () => {
    cloud.answer({
      'PUT /v2.0/ports/p1/tags': json({ tags: ['b', 'a'] }),
      'PUT /v2.0/ports/p1/tags/a%3Ab': (_, response) => response.writeHead(201).end(),
      'DELETE /v2.0/ports/p1/tags/a%3Ab': error('TagNotFound', 404),
    });
    await neutron.ports.setTags('p1', ['a', 'b']);
    assert.deepEqual(cloud.asked[0]?.body, { tags: ['a', 'b'] });
    await neutron.ports.addTag('p1', 'a:b');
    assert.equal(await neutron.ports.removeTag('p1', 'a:b'), false);
  });

  for (const id of ['', '.', '..'])
    it(`does not ask for '${id}', which is another path`, async () => {
      await assert.rejects(neutron.ports.get(id), { code: 'NEUTRON_INVALID' });
      await assert.rejects((async () => neutron.ports.remove(id))(), { code: 'NEUTRON_INVALID' });
      assert.deepEqual(cloud.lines, []);
    });
});

describe('what is more than an object', () => {
  it('adds and removes interfaces and subports, without repeating', async () => {
    const trunk = { id: 't1', port_id: 'p0', sub_ports: [] };
    cloud.answer({
      'PUT /v2.0/routers/r1/add_router_interface': json({ id: 'r1', port_id: 'p1', subnet_id: 's1' }),
      'PUT /v2.0/routers/r1/remove_router_interface': error('HTTPInternalServerError', 503),
      'PUT /v2.0/trunks/t1/add_subports': json(trunk),
      'PUT /v2.0/trunks/t1/remove_subports': json(trunk),
    });
    assert.equal((await neutron.routers.addInterface('r1', { subnet_id: 's1' })).port_id, 'p1');
    await assert.rejects(neutron.routers.removeInterface('r1', { port_id: 'p1' }), { code: 'OPENSTACK_BUSY' });
    await neutron.trunks.addSubports('t1', [{ port_id: 'p1', segmentation_type: 'vlan', segmentation_id: 5 }]);
    await neutron.trunks.removeSubports('t1', ['p1']);
    assert.deepEqual(cloud.asked.at(-1)?.body, { sub_ports: [{ port_id: 'p1' }] });
    assert.equal(cloud.asked.length, 4);
  });

  it('lists extensions, quotas and their use', async () => {
    cloud.answer({
      'GET /v2.0/extensions': json({ extensions: [{ alias: 'qos', name: 'QoS' }, { alias: 'trunk' }] }),
      'GET /v2.0/quotas/x': json({ quota: { port: -1, network: 5 } }),
      'GET /v2.0/quotas/x/details': json({ quota: { port: { limit: 5, used: 2, reserved: 0 }, odd: 1 } }),
    });
    assert.deepEqual([...(await neutron.extensions())], ['qos', 'trunk']);
    assert.deepEqual(await neutron.quota('x'), { port: -1, network: 5 });
    assert.deepEqual(await neutron.quotaUsage('x'), { port: { limit: 5, used: 2, reserved: 0 } });
  });

  it('finds port forwardings and policies where they are', async () => {
    cloud.answer({
      'GET /v2.0/floatingips/f1/port_forwardings': json({ port_forwardings: [] }),
      'GET /v2.0/qos/policies': json({ policies: [] }),
      'GET /v2.0/security-group-rules': json({ security_group_rules: [] }),
    });
    await neutron.portForwardings('f1').list();
    await neutron.qosPolicies.list();
    await neutron.securityGroupRules.list();
    assert.equal(cloud.asked.length, 3);
  });
});

describe('refusals', () => {
  const cases = [
    ['BadRequest', 400, 'NEUTRON_INVALID'],
    ['PolicyNotAuthorized', 403, 'NEUTRON_DENIED'],
    ['IpAddressAlreadyAllocated', 409, 'NEUTRON_CONFLICT'],
    ['OverQuota', 409, 'NEUTRON_QUOTA'],
    ['HTTPInternalServerError', 500, 'OPENSTACK_FAILED'],
  ] as const;
  for (const [type, status, code] of cases)
    it(`${status} ${type} is ${code}, with its words and its request id`, async () => {
      cloud.answer({ 'POST /v2.0/ports': error(type, status, 'because of\nthat') });
      const failure = await failureOf(neutron.ports.create({ network_id: 'n1' }));
      assert.equal((failure as { code: string }).code, code);
      assert.equal(
        (failure as Error).message,
        `Neutron: POST /v2.0/ports answers ${status} ${type}: because of that (req-12ab)`,
      );
      assert.deepEqual(detailsOf(failure), {
        service: 'Neutron',
        request: 'POST /v2.0/ports',
        status,
        type,
        requestId: 'req-12ab',
        mayBeDone: status === 500,
        retryAfter: undefined,
      });
    });
});
