import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { findKuryr } from './openstack/kuryr.ts';
import { type OpenStack, startOpenStack } from './openstack/openstack.ts';
import type { RestAnswer } from './openstack/rest.ts';
import { namespacesOf, remains } from './remains.ts';

let stack: OpenStack;
before(async () => {
  stack = await startOpenStack({
    hosts: { h1: {}, h2: { kind: 'ovs', configurations: { ovs_hybrid_plug: true } }, h3: { alive: false } },
  });
});
afterEach(() => {
  stack.calls.heal();
  stack.calls.clear();
});
after(async () => {
  const { id, dir } = stack.bed;
  const namespaces = namespacesOf(dir);
  await stack[Symbol.asyncDispose]();
  assert.deepEqual(remains(id, namespaces), []);
});

interface CatalogEntry {
  readonly type: string;
  readonly endpoints: readonly { readonly region_id: string; readonly interface: string; readonly url: string }[];
}

/** What the product does: asks Keystone for a token, and looks into its catalog. */
async function authenticate(
  auth: unknown,
): Promise<{ status: number; token: string; catalog: readonly CatalogEntry[] }> {
  const answer = await fetch(`${stack.authUrl}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  });
  const body = (await answer.json()) as { token?: { catalog: readonly CatalogEntry[] } };
  return {
    status: answer.status,
    token: answer.headers.get('x-subject-token') ?? '',
    catalog: body.token?.catalog ?? [],
  };
}

const status = (answer: RestAnswer) => answer.status;

test('Keystone knows users and application credentials; its catalog leads to Neutron by six endpoints', async () => {
  const { operator } = stack.identity.applicationCredentials;
  const { tenant } = stack.identity.users;
  const domain = { name: tenant.domain };
  const user = { name: tenant.name, domain, password: tenant.password };
  const byPassword = await authenticate({
    identity: { methods: ['password'], password: { user } },
    scope: { project: { name: tenant.project, domain } },
  });
  const credential = { id: operator.id, secret: operator.secret };
  const byCredential = await authenticate({
    identity: { methods: ['application_credential'], application_credential: credential },
  });
  const refused = await authenticate({
    identity: { methods: ['application_credential'], application_credential: { ...credential, secret: 'wrong' } },
  });
  assert.deepEqual([byPassword.status, byCredential.status, refused.status], [201, 201, 401]);

  const network = byPassword.catalog.find(({ type }) => type === 'network')!;
  assert.equal(network.endpoints.length, 6);
  for (const { region_id, interface: kind, url } of network.endpoints) {
    const headers = { 'x-auth-token': byCredential.token };
    assert.equal((await fetch(`${url}/v2.0/agents`, { headers })).status, 200);
    assert.equal(stack.calls.all({ endpoint: `${region_id}/${kind}`, service: 'neutron' }).length, 1);
  }
  assert.deepEqual(stack.calls.counts(), { 'POST /v3/auth/tokens': 3, 'GET /v2.0/agents': 6 });
});

test('Neutron has the extensions that containers may want', async () => {
  const present = new Set((await stack.neutron.get('/extensions')).map(({ alias }) => alias));
  const wanted = [
    'address-scope',
    'allowed-address-pairs',
    'binding',
    'dns-integration',
    'external-net',
    'floating-ip-port-forwarding',
    'multi-provider',
    'net-mtu',
    'port-security',
    'qos',
    'quotas',
    'router',
    'security-group',
    'segment',
    'standard-attr-tag',
    'subnet_allocation',
    'trunk',
  ];
  assert.deepEqual(
    wanted.filter((alias) => !present.has(alias)),
    [],
  );
});

test('a port binds where Neutron believes an agent to be', async () => {
  const { neutron } = stack;
  const network = await neutron.post('/networks', { name: 'n' });
  await neutron.post('/subnets', { network_id: network.id, ip_version: 4, cidr: '10.33.0.0/24' });
  const bound = async (host: string) => {
    const port = await neutron.post('/ports', { network_id: network.id, 'binding:host_id': host });
    const { ovs_hybrid_plug: hybrid } = port['binding:vif_details'] as { ovs_hybrid_plug?: boolean };
    return { id: port.id, is: [port['binding:vif_type'], hybrid, port.status] };
  };
  const first = await bound('h1');
  assert.deepEqual(first.is, ['bridge', undefined, 'DOWN']);
  assert.deepEqual((await bound('h2')).is, ['ovs', true, 'DOWN']);
  assert.deepEqual((await bound('h3')).is, ['binding_failed', undefined, 'DOWN']);
  assert.deepEqual((await bound('h4')).is, ['binding_failed', undefined, 'DOWN']);
  stack.addFakeAgent('h4');
  assert.deepEqual((await bound('h4')).is, ['bridge', undefined, 'DOWN']);
  stack.setPortStatus(first.id, 'ACTIVE');
  assert.equal((await neutron.get<{ status: string }>(`/ports/${first.id}`)).status, 'ACTIVE');
  await neutron.delete(`/ports/${first.id}`);
  await neutron.delete(`/ports/${first.id}`);
  assert.equal((await neutron.call('GET', `/ports/${first.id}`)).status, 404);
});

test('who is not an administrator may do what the policy says, and sees the own project', async () => {
  const tenant = stack.as('tenant');
  const network = await tenant.post('/networks', { name: 'private' });
  const port = (host: string) => ({ port: { network_id: network.id, 'binding:host_id': host } });
  assert.equal(status(await tenant.call('POST', '/ports', port('h1'))), 403);
  stack.setPolicy({ 'create_port:binding:host_id': 'role:member' });
  assert.equal(status(await tenant.call('POST', '/ports', port('h1'))), 201);
  stack.setPolicy({});
  assert.equal(status(await tenant.call('POST', '/ports', port('h1'))), 403);
  assert.equal(status(await stack.as('viewer').call('GET', `/networks/${network.id}`)), 200);
  assert.equal(status(await stack.as('stranger').call('GET', `/networks/${network.id}`)), 404);
  assert.equal(status(await stack.as('foreigner').call('GET', `/networks/${network.id}`)), 404);
  assert.equal(status(await stack.as('operator').call('GET', `/networks/${network.id}`)), 200);
});

test('Neutron and Keystone are frozen, killed and started again; what was made is still there', async () => {
  const token = await stack.token('admin');
  const get = (timeout = 60_000, shown = token) =>
    fetch(`${stack.networkUrl()}/v2.0/networks?name=kept`, {
      headers: { 'x-auth-token': shown },
      signal: AbortSignal.timeout(timeout),
    });
  await stack.neutron.post('/networks', { name: 'kept' });
  await stack.neutronServer.freeze();
  await assert.rejects(get(300), { name: 'TimeoutError' });
  stack.neutronServer.thaw();
  assert.equal((await get()).status, 200);
  await stack.neutronServer.kill();
  assert.equal((await get()).status, 503);
  await stack.neutronServer.start();
  const { networks } = (await (await get()).json()) as { networks: unknown[] };
  assert.equal(networks.length, 1);
  await stack.keystoneServer.kill();
  assert.equal((await fetch(stack.authUrl)).status, 503);
  // Of a token that it knows, Neutron does not ask again.
  assert.equal((await get()).status, 200);
  assert.equal((await get(60_000, 'unknown')).status, 503);
  await stack.keystoneServer.start();
  assert.equal((await get()).status, 200);
});

test('a second OpenStack starts from the templates, on the LAN of a bed, without Keystone', async () => {
  const { bed } = stack;
  const lan = await bed.lan({ name: 'second', subnet: '10.9.66.0/24', gateway: '10.9.66.1' });
  const client = await lan.machine('client', '10.9.66.20/24');
  await using second = await startOpenStack({ keystone: false, on: { bed, lan, address: '10.9.66.11' } });
  const asked = ['busybox', 'wget', '-q', '-O-', `${second.networkUrl()}/v2.0/networks`];
  assert.equal(second.networkUrl(), 'http://10.9.66.11:9696');
  assert.deepEqual(JSON.parse((await client.net(asked)).stdout), { networks: [] });
  assert.deepEqual(second.calls.counts(), { 'GET /v2.0/networks': 1 });
  assert.deepEqual(stack.calls.counts(), {});
  assert.throws(() => second.keystone, /without Keystone/);
});

test('the Python original is found where BERTH_KURYR says, or missed by name', () => {
  assert.match(JSON.stringify(findKuryr('')), /absent.*BERTH_KURYR names no folder/);
  assert.match(JSON.stringify(findKuryr('/nonexistent')), /absent.*nonexistent\/kuryr-libnetwork.* is missing/);
});
