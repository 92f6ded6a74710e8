/** Berth's client of Keystone and Neutron, on real ones. What they do not do on demand is in `src/openstack/*.test.ts`. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { detailsOf } from '../../src/openstack/failure.ts';
import { createNeutron, type Neutron } from '../../src/openstack/neutron/neutron.ts';
import { failureOf } from '../../src/openstack/testing/fake-cloud.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import { asUser, closeSessions, folder, sessionFor } from './suites/openstack-sessions.ts';

describe('Keystone', { timeout: 600_000 }, () => {
  let stack: OpenStack;
  before(async () => {
    stack = await startOpenStack({ revocation: true });
  });
  after(async () => {
    closeSessions();
    await stack?.[Symbol.asyncDispose]();
  });
  const projectOf = async (lines: Record<string, string | undefined>) => {
    const session = sessionFor(lines);
    await createNeutron(session).networks.list();
    return (await session.identity())?.projectId;
  };

  it('takes a password, of a user by name and by id, in any domain', async () => {
    const { tenant, foreigner } = stack.identity.users;
    assert.equal(await projectOf(asUser(stack, 'tenant')), tenant.projectId);
    assert.equal(await projectOf(asUser(stack, 'foreigner')), foreigner.projectId);
    const { username: _, user_domain_name: __, project_name: ___, ...rest } = asUser(stack, 'tenant');
    assert.equal(await projectOf({ ...rest, user_id: tenant.id, project_id: tenant.projectId }), tenant.projectId);
  });

  it('takes an application credential, by id and by name', async () => {
    const { tenant } = stack.identity.users;
    const { id, name, secret } = stack.identity.applicationCredentials.tenant;
    const lines = {
      auth_type: 'v3applicationcredential',
      auth_url: stack.authUrl.replace('/v3', ''),
      application_credential_secret: secret,
    };
    assert.equal(await projectOf({ ...lines, application_credential_id: id }), tenant.projectId);
    const named = { application_credential_name: name, username: tenant.name, user_domain_name: tenant.domain };
    assert.equal(await projectOf({ ...lines, ...named }), tenant.projectId);
    await assert.rejects(
      projectOf({ ...lines, application_credential_id: id, application_credential_secret: 'wrong' }),
      {
        code: 'KEYSTONE_REFUSED',
      },
    );
  });

  it('takes a token', async () => {
    const { projectId } = stack.identity.users.tenant;
    const token = await stack.token('tenant');
    const lines = { auth_type: 'token', auth_url: stack.authUrl, token, project_id: projectId };
    assert.equal(await projectOf(lines), projectId);
    await assert.rejects(projectOf({ ...lines, token: 'nonsense' }), { code: 'KEYSTONE_REFUSED' });
  });

  it('gives tokens for a domain and for the system, to whom may have them', async () => {
    const { admin } = stack.identity.users;
    const { project_name: _, project_domain_name: __, ...lines } = asUser(stack, 'admin');
    const session = sessionFor({ ...lines, system_scope: 'all' });
    const identity = await session.identity();
    assert.equal(identity?.userId, admin.id);
    assert.equal(identity.projectId, undefined);
    await assert.rejects(sessionFor({ ...lines, domain_name: 'lab' }).identity(), { code: 'KEYSTONE_REFUSED' });
    await assert.rejects(createNeutron(sessionFor(lines)).networks.list(), {
      code: 'OPENSTACK_NO_ENDPOINT',
      message: /it is empty: the token has no project/,
    });
  });

  const wrong: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['password', { password: 'wrong' }],
    ['user', { username: 'nobody' }],
    ['domain', { user_domain_name: 'nowhere' }],
    ['project', { project_name: 'nothing' }],
  ];
  for (const [what, change] of wrong)
    it(`refuses a wrong ${what} at once, and says who refuses`, async () => {
      stack.calls.clear();
      await assert.rejects(projectOf({ ...asUser(stack, 'tenant'), ...change }), {
        code: 'KEYSTONE_REFUSED',
        message: /^Keystone: POST \/v3\/auth\/tokens answers 401: .* \(req-[0-9a-f-]{36}\)$/,
      });
      assert.deepEqual(stack.calls.counts(), { 'POST /v3/auth/tokens': 1 });
    });

  it('says so when it is not Keystone that is asked', async () => {
    const neutron = { ...asUser(stack, 'tenant'), auth_url: stack.networkUrl() };
    await assert.rejects(projectOf(neutron), { code: /OPENSTACK_BAD_ANSWER|KEYSTONE_REFUSED/ });
    await assert.rejects(projectOf({ ...asUser(stack, 'tenant'), auth_url: 'http://127.0.0.1:1' }), {
      code: 'OPENSTACK_UNREACHABLE',
    });
  });

  it('knows two regions, and three URLs in each', async () => {
    for (const region of ['RegionOne', 'RegionTwo'] as const)
      for (const kind of ['public', 'internal', 'admin'] as const) {
        stack.calls.clear();
        await projectOf({ ...asUser(stack, 'tenant'), region_name: region, endpoint_type: kind });
        const [call] = stack.calls.all({ service: 'neutron' });
        assert.equal(call?.endpoint, `${region}/${kind}`);
      }
    await assert.rejects(projectOf({ ...asUser(stack, 'tenant'), region_name: 'RegionThree' }), {
      code: 'OPENSTACK_NO_ENDPOINT',
      message: /no public endpoint for 'network' in the region 'RegionThree'; it has .*public in RegionTwo/,
    });
  });

  it('has a token revoked, which is renewed once for all that are under way', async () => {
    stack.calls.clear();
    const session = sessionFor(asUser(stack, 'tenant'));
    const neutron = createNeutron(session);
    await neutron.networks.list();
    const used = stack.calls.all({ service: 'neutron' })[0]!.headers['x-auth-token'] as string;
    // Fernet tokens know whole seconds, and what was made in the second of a revocation is revoked too.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const revoked = await fetch(`${stack.authUrl}/auth/tokens`, {
      method: 'DELETE',
      headers: { 'X-Auth-Token': await stack.token('admin'), 'X-Subject-Token': used },
    });
    assert.equal(revoked.status, 204);
    stack.calls.clear();
    await Promise.all(Array.from({ length: 4 }, () => neutron.networks.list()));
    assert.equal(stack.calls.counts()['POST /v3/auth/tokens'], 1);
    assert.ok(stack.calls.all({ service: 'neutron' }).some(({ status }) => status === 401));
  });
});

describe('tokens of a short life, over TLS', { timeout: 600_000 }, () => {
  let stack: OpenStack;
  const path = (name: string) => join(folder, name);
  const text = (name: string) => readFileSync(path(name), 'utf8');
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  /** An authority, and certificates that it signed. */
  function certify(authority: string, ...names: string[]): void {
    const request = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-batch'];
    openssl(
      ...request,
      '-x509',
      '-subj',
      `/CN=${authority}`,
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.pem`,
    );
    writeFileSync(path('names'), 'subjectAltName=IP:127.0.0.1\n');
    for (const name of names) {
      openssl(...request, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
      const sign = ['x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`];
      openssl(...sign, '-CAcreateserial', '-extfile', 'names', '-out', `${name}.pem`);
    }
  }
  before(async () => {
    certify('ca', 'server', 'berth');
    certify('other', 'stranger');
    const tls = { key: text('server.key'), cert: text('server.pem'), ca: text('ca.pem') };
    stack = await startOpenStack({ tls, tokenLifetime: 20 });
  });
  after(async () => {
    closeSessions();
    await stack?.[Symbol.asyncDispose]();
  });
  const lines = () => asUser(stack, 'tenant');
  const own = () => ({ cafile: path('ca.pem'), certfile: path('berth.pem'), keyfile: path('berth.key') });
  const list = (given: Record<string, string>) => createNeutron(sessionFor(given)).networks.list();

  it('trusts the authority that it is told, and shows its certificate', async () => {
    assert.deepEqual(await list({ ...lines(), ...own() }), []);
    assert.match(stack.authUrl, /^https:/);
    writeFileSync(path('both.pem'), text('berth.pem') + text('berth.key'));
    await list({ ...lines(), cafile: path('ca.pem'), certfile: path('both.pem') });
    await list({ ...lines(), ...own(), cafile: path('other.pem'), insecure: 'true' });
  });

  it('trusts no other, and does not try twice', async () => {
    const { cafile: _, ...without } = own();
    for (const given of [{ ...own(), cafile: path('other.pem') }, without])
      await assert.rejects(list({ ...lines(), ...given }), {
        code: 'OPENSTACK_CERTIFICATE',
        message: /^Keystone at https:/,
      });
  });

  it('is refused without a certificate, or with that of another authority', async () => {
    const stranger = { certfile: path('stranger.pem'), keyfile: path('stranger.key') };
    for (const given of [{}, stranger])
      await assert.rejects(list({ ...lines(), cafile: path('ca.pem'), ...given }), {
        code: /OPENSTACK_(CERTIFICATE|UNREACHABLE)/,
      });
  });

  it('goes on for longer than a token lives, and nobody notices', async () => {
    const neutron = createNeutron(sessionFor({ ...lines(), ...own() }));
    stack.calls.clear();
    const used = () => new Set(stack.calls.all({ service: 'neutron' }).map(({ headers }) => headers['x-auth-token']));
    while (used().size < 3) {
      await neutron.networks.list();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // One for each, and perhaps the next.
    assert.ok(stack.calls.counts()['POST /v3/auth/tokens']! <= 4);
  });
});

describe('Neutron', { timeout: 600_000 }, () => {
  let stack: OpenStack;
  let admin: Neutron;
  let tenant: Neutron;
  let network: string;
  let subnet: string;
  before(async () => {
    stack = await startOpenStack();
    admin = createNeutron(sessionFor(asUser(stack, 'admin')));
    tenant = createNeutron(sessionFor(asUser(stack, 'tenant')));
    network = (await tenant.networks.create({ name: 'blue' })).id;
    const made = await tenant.subnets.create({ network_id: network, ip_version: 4, cidr: '10.20.0.0/24' });
    subnet = made.id;
    assert.deepEqual(made.allocation_pools, [{ start: '10.20.0.2', end: '10.20.0.254' }]);
  });
  after(async () => {
    closeSessions();
    await stack?.[Symbol.asyncDispose]();
  });

  it('tells what it can do', async () => {
    const extensions = await tenant.extensions();
    for (const alias of ['standard-attr-tag', 'port-security', 'trunk', 'qos', 'revision-if-match'])
      assert.ok(extensions.has(alias), alias);
  });

  it('makes many ports in one call, tagged in another each, and lists them in pages', async () => {
    stack.calls.clear();
    const wanted = Array.from({ length: 7 }, (_, i) => ({
      network_id: network,
      name: `port-${i}`,
      device_owner: 'compute:kuryr',
      fixed_ips: [{ subnet_id: subnet, ip_address: `10.20.0.${100 + i}` }],
    }));
    const made = await tenant.ports.createMany(wanted);
    assert.deepEqual(
      made.map(({ name, fixed_ips }) => [name, fixed_ips?.[0]?.ip_address]),
      wanted.map(({ name, fixed_ips }) => [name, fixed_ips[0]!.ip_address]),
    );
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), { 'POST /v2.0/ports': 1 });

    await tenant.ports.setTags(made[0]!.id, ['a', 'b:c/d']);
    await tenant.ports.setTags(made[1]!.id, ['a']);
    await tenant.ports.addTag(made[1]!.id, 'b:c');
    assert.equal(await tenant.ports.removeTag(made[1]!.id, 'b:c'), true);
    assert.equal(await tenant.ports.removeTag(made[1]!.id, 'b:c'), false);
    assert.deepEqual((await tenant.ports.get(made[0]!.id))?.tags?.toSorted(), ['a', 'b:c/d']);
    const names = async (filter: Parameters<Neutron['ports']['list']>[0]) =>
      (await tenant.ports.list(filter, { fields: ['name'] })).map(({ name }) => name).toSorted();
    assert.deepEqual(await names({ tags: ['a', 'b:c/d'] }), ['port-0']);
    assert.deepEqual(await names({ tags: 'a' }), ['port-0', 'port-1']);
    assert.deepEqual(await names({ fixed_ips: [`subnet_id=${subnet}`, 'ip_address=10.20.0.103'] }), ['port-3']);
    assert.deepEqual(await names({ id: made.slice(2, 4).map(({ id }) => id) }), ['port-2', 'port-3']);

    stack.calls.clear();
    const listed = await tenant.ports.list({ network_id: network }, { fields: ['id'], pageSize: 3 });
    assert.deepEqual(listed.map(({ id }) => id).toSorted(), made.map(({ id }) => id).toSorted());
    assert.equal(stack.calls.counts()['GET /v2.0/ports'], 3);

    await assert.rejects(tenant.ports.createMany([{ network_id: network }, wanted[0]!]), {
      code: 'NEUTRON_CONFLICT',
      message: /answers 409 IpAddressAlreadyAllocated: .*10\.20\.0\.100.* \(req-/,
    });
    assert.equal((await tenant.ports.list({ network_id: network }, { fields: ['id'] })).length, 7);
    for (const { id } of made) assert.equal(await tenant.ports.remove(id), true);
    assert.equal(await tenant.ports.remove(made[0]!.id), false);
    assert.equal(await tenant.ports.get(made[0]!.id), undefined);
  });

  it('changes a port only if nobody else has', async () => {
    const port = await tenant.ports.create({ network_id: network, name: 'first' });
    const second = await tenant.ports.update(port.id, { name: 'second' }, { ifRevision: port.revision_number });
    assert.equal(second.name, 'second');
    await assert.rejects(tenant.ports.update(port.id, { name: 'third' }, { ifRevision: port.revision_number }), {
      code: 'NEUTRON_CHANGED',
      message: /412 RevisionNumberConstraintFailed/,
    });
    assert.equal((await tenant.ports.get(port.id))?.name, 'second');
    await tenant.ports.remove(port.id);
  });

  it('lets who is no administrator do what the policy allows, and says what it does not', async () => {
    await assert.rejects(tenant.networks.create({ shared: true }), {
      code: 'NEUTRON_DENIED',
      message: /answers 403 PolicyNotAuthorized: .*create_network.* \(req-/,
    });
    const port = await tenant.ports.create({ network_id: network });
    assert.equal(port['binding:host_id'], undefined);
    await assert.rejects(tenant.ports.update(port.id, { 'binding:host_id': 'h1' }), { code: 'NEUTRON_DENIED' });
    const bound = await admin.ports.update(port.id, { 'binding:host_id': 'h1' });
    assert.equal(bound['binding:vif_type'], 'bridge');
    const elsewhere = await admin.ports.update(port.id, { 'binding:host_id': 'nowhere' });
    assert.equal(elsewhere['binding:vif_type'], 'binding_failed');
    const stranger = createNeutron(sessionFor(asUser(stack, 'stranger')));
    assert.equal(await stranger.ports.get(port.id), undefined);
    await assert.rejects(stranger.ports.update(port.id, {}), { code: 'NEUTRON_NOT_FOUND' });
    await tenant.ports.remove(port.id);
  });

  it('says what is wrong with a request', async () => {
    await assert.rejects(tenant.subnets.create({ network_id: network, ip_version: 4, cidr: '10.20.0.0/25' }), {
      code: 'NEUTRON_INVALID',
      message: /answers 400 InvalidInput: .*overlap/i,
    });
    await assert.rejects(tenant.ports.create({ network_id: network, mac_address: 'nonsense' }), {
      code: 'NEUTRON_INVALID',
    });
    const port = await tenant.ports.create({ network_id: network, fixed_ips: [{ subnet_id: subnet }] });
    const inUse = await failureOf(tenant.networks.remove(network));
    assert.equal(detailsOf(inUse)?.type, 'NetworkInUse');
    await tenant.ports.remove(port.id);
  });

  it('keeps within a quota', async () => {
    const { projectId } = stack.identity.users.tenant;
    const { port: limit } = await admin.quota(projectId);
    assert.equal(limit, -1);
    const { used } = (await admin.quotaUsage(projectId)).port!;
    assert.equal(typeof used, 'number');
    await stack.neutron.call('PUT', `/quotas/${projectId}`, { quota: { port: used } });
    await assert.rejects(tenant.ports.create({ network_id: network }), {
      code: 'NEUTRON_QUOTA',
      message: /409 OverQuota/,
    });
    await stack.neutron.call('DELETE', `/quotas/${projectId}`);
  });

  it('has all other kinds of objects', async () => {
    const pool = await tenant.subnetPools.create({ name: 'pool', prefixes: ['10.30.0.0/16'], default_prefixlen: 24 });
    assert.equal(pool.default_prefixlen, 24);
    const pooled = await tenant.networks.create({ name: 'pooled' });
    const fromPool = await tenant.subnets.create({ network_id: pooled.id, ip_version: 4, subnetpool_id: pool.id });
    assert.equal(fromPool.cidr, '10.30.0.0/24');

    const group = await tenant.securityGroups.create({ name: 'group' });
    const rule = await tenant.securityGroupRules.create({
      security_group_id: group.id,
      direction: 'ingress',
      ethertype: 'IPv6',
      protocol: 'sctp',
      port_range_min: 5,
      port_range_max: 6,
    });
    assert.equal(rule.protocol, 'sctp');
    const rules = (await tenant.securityGroups.get(group.id))?.security_group_rules?.map(({ id }) => id);
    assert.ok(rules?.includes(rule.id));
    assert.equal(await tenant.securityGroupRules.remove(rule.id), true);

    const outside = await admin.networks.create({ name: 'outside', 'router:external': true });
    await admin.subnets.create({ network_id: outside.id, ip_version: 4, cidr: '198.51.100.0/24' });
    const router = await tenant.routers.create({ name: 'r', external_gateway_info: { network_id: outside.id } });
    assert.equal(router.external_gateway_info?.network_id, outside.id);
    const joined = await tenant.routers.addInterface(router.id, { subnet_id: subnet });
    assert.equal((await tenant.ports.get(joined.port_id))?.device_owner, 'network:router_interface');

    const port = await tenant.ports.create({ network_id: network, fixed_ips: [{ subnet_id: subnet }] });
    const floating = await tenant.floatingIps.create({ floating_network_id: outside.id, port_id: port.id });
    assert.equal(floating.fixed_ip_address, port.fixed_ips?.[0]?.ip_address);
    assert.equal((await tenant.floatingIps.update(floating.id, { port_id: null })).port_id, undefined);
    const forwardings = tenant.portForwardings(floating.id);
    const forwarding = await forwardings.create({
      protocol: 'tcp',
      internal_port_id: port.id,
      internal_ip_address: port.fixed_ips![0]!.ip_address,
      internal_port: 80,
      external_port: 8080,
    });
    assert.equal((await forwardings.get(forwarding.id))?.external_port, 8080);
    assert.equal((await forwardings.update(forwarding.id, { external_port: 8081 })).external_port, 8081);
    assert.equal(await forwardings.remove(forwarding.id), true);

    const policy = await admin.qosPolicies.create({ name: 'slow', shared: true });
    assert.deepEqual(
      (await tenant.qosPolicies.list({ name: 'slow' })).map(({ id }) => id),
      [policy.id],
    );
    assert.equal((await tenant.ports.update(port.id, { qos_policy_id: policy.id })).qos_policy_id, policy.id);

    const [parent, child] = await tenant.ports.createMany([{ network_id: network }, { network_id: network }]);
    const trunk = await tenant.trunks.create({ port_id: parent!.id });
    const vlan = { port_id: child!.id, segmentation_type: 'vlan', segmentation_id: 42 } as const;
    assert.deepEqual((await tenant.trunks.addSubports(trunk.id, [vlan])).sub_ports, [vlan]);
    assert.equal((await tenant.ports.get(parent!.id))?.trunk_details?.sub_ports[0]?.segmentation_id, 42);
    await assert.rejects(tenant.trunks.addSubports(trunk.id, [vlan]), { code: 'NEUTRON_CONFLICT' });
    assert.deepEqual((await tenant.trunks.removeSubports(trunk.id, [child!.id])).sub_ports, []);

    const agents = await admin.agents.list({ host: 'h1' });
    assert.deepEqual([...new Set(agents.map(({ host, alive }) => [host, alive].join()))], ['h1,true']);

    assert.equal(await tenant.floatingIps.remove(floating.id), true);
    await tenant.routers.removeInterface(router.id, { subnet_id: subnet });
    assert.equal(await tenant.routers.remove(router.id), true);
  });

  it('is asked again when it breaks off, and never twice for what may have been done', async () => {
    await tenant.networks.list();
    for (const fault of [{ kind: 'half' }, { kind: 'cut', when: 'after' }, { kind: 'answer', status: 503 }] as const) {
      stack.calls.clear();
      stack.calls.inject(fault, { service: 'neutron' });
      await tenant.networks.list();
      assert.equal(stack.calls.counts()['GET /v2.0/networks'], 2);
      stack.calls.heal();
    }
    stack.calls.clear();
    stack.calls.inject({ kind: 'cut', when: 'after' }, { service: 'neutron', method: 'POST' });
    const lost = await failureOf(tenant.ports.create({ network_id: network, name: 'lost' }));
    assert.equal(detailsOf(lost)?.mayBeDone, true);
    assert.equal(stack.calls.counts()['POST /v2.0/ports'], 1);
    const [found] = await tenant.ports.list({ name: 'lost' });
    stack.calls.inject({ kind: 'cut', when: 'after' }, { service: 'neutron', method: 'DELETE' });
    // The second is answered that there is none.
    assert.equal(await tenant.ports.remove(found!.id), false);
    stack.calls.heal();
  });
});
