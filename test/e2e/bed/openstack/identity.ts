/** Who there is in the bed's Keystone: one user for each kind of right, with the same password everywhere. */

import { ask, type Resource, restClient } from './rest.ts';

export interface User {
  readonly name: string;
  readonly id: string;
  readonly password: string;
  readonly domain: string;
  readonly project: string;
  readonly projectId: string;
}

export interface ApplicationCredential {
  readonly id: string;
  readonly name: string;
  readonly secret: string;
}

export type UserName = keyof typeof people;

export interface Identity {
  readonly users: Readonly<Record<UserName, User>>;
  /** Those of `operator` and of `tenant`, with their roles. */
  readonly applicationCredentials: Readonly<Record<'operator' | 'tenant', ApplicationCredential>>;
}

export const password = 'open-sesame';

const people = {
  /** The administrator of the cloud, in the project `admin`. */
  admin: { domain: 'Default', project: 'admin', role: 'admin' },
  /** Neutron's own. */
  neutron: { domain: 'Default', project: 'service', role: 'admin' },
  /** As kuryr's documentation wants it: role admin, in the project `containers`. */
  operator: { domain: 'Default', project: 'containers', role: 'admin' },
  /** The same project, without more rights than its own. */
  tenant: { domain: 'Default', project: 'containers', role: 'member' },
  viewer: { domain: 'Default', project: 'containers', role: 'reader' },
  /** Another project. */
  stranger: { domain: 'Default', project: 'elsewhere', role: 'member' },
  /** Another domain. */
  foreigner: { domain: 'lab', project: 'containers', role: 'member' },
} as const;

export const regions = ['RegionOne', 'RegionTwo'] as const;
export const bootstrapRegion = regions[0];
export const interfaces = ['public', 'internal', 'admin'] as const;
/** Where Neutron itself finds Keystone, past the proxies: its questions are none of the product's calls. */
export const controlRegion = 'Control';
export type Region = (typeof regions)[number];
export type Interface = (typeof interfaces)[number];

/** A token of Keystone for a user in its project. @throws with Keystone's answer. */
export async function passwordToken(
  socketPath: string,
  user: Pick<User, 'name' | 'domain' | 'project' | 'password'>,
): Promise<string> {
  const domain = { name: user.domain };
  const answer = await ask({ socketPath }, '/v3/auth/tokens?nocatalog', {
    method: 'POST',
    body: {
      auth: {
        identity: { methods: ['password'], password: { user: { name: user.name, domain, password: user.password } } },
        scope: { project: { name: user.project, domain } },
      },
    },
  });
  if (answer.status !== 201) throw new Error(`No token for ${user.name}: ${answer.status} ${answer.body}`);
  return answer.headers['x-subject-token'] as string;
}

/**
 * Makes everything in a Keystone that `keystone-manage bootstrap` has just filled. Endpoints get made-up URLs: what they are is
 * known only when a bed starts.
 *
 * @param controlUrl Keystone as Neutron finds it.
 */
export async function seedIdentity(socketPath: string, controlUrl: string): Promise<Identity> {
  const token = await passwordToken(socketPath, { name: 'admin', domain: 'Default', project: 'admin', password });
  const keystone = restClient(
    () => socketPath,
    '/v3',
    () => Promise.resolve(token),
  );
  const lab = await keystone.post('/domains', { name: 'lab' });
  const domains: Record<string, string> = { Default: 'default', lab: lab.id };
  const roles = new Map((await keystone.get('/roles')).map((role) => [role.name as string, role.id]));
  const projects = new Map<string, string>();
  const users: Partial<Record<UserName, User>> = {};
  for (const [name, { domain, project, role }] of Object.entries(people) as [UserName, (typeof people)[UserName]][]) {
    const domain_id = domains[domain]!;
    const key = `${domain}/${project}`;
    if (!projects.has(key)) {
      const [known] = await keystone.get(`/projects?name=${project}&domain_id=${domain_id}`);
      projects.set(key, known?.id ?? (await keystone.post('/projects', { name: project, domain_id })).id);
    }
    const projectId = projects.get(key)!;
    const [known] = await keystone.get(`/users?name=${name}&domain_id=${domain_id}`);
    const { id } = known ?? (await keystone.post<Resource>('/users', { name, domain_id, password }));
    await keystone.call('PUT', `/projects/${projectId}/users/${id}/roles/${roles.get(role)!}`);
    users[name] = { name, id, password, domain, project, projectId };
  }

  await keystone.call('POST', '/regions', { region: { id: 'RegionTwo' } });
  const network = await keystone.post('/services', { type: 'network', name: 'neutron' });
  const [identity] = await keystone.get('/services?type=identity');
  const endpoint = (service: Resource, region: string, kind: Interface, url = 'http://127.0.0.1') =>
    keystone.post('/endpoints', { service_id: service.id, region_id: region, interface: kind, url });
  for (const region of regions) {
    for (const kind of interfaces) {
      await endpoint(network, region, kind);
      if (region !== bootstrapRegion) await endpoint(identity!, region, kind);
    }
  }
  await keystone.call('POST', '/regions', { region: { id: controlRegion } });
  await endpoint(identity!, controlRegion, 'internal', controlUrl);
  const [operator, tenant] = [
    await applicationCredential(socketPath, users.operator!),
    await applicationCredential(socketPath, users.tenant!),
  ];
  return { users: users as Record<UserName, User>, applicationCredentials: { operator, tenant } };
}

async function applicationCredential(socketPath: string, user: User): Promise<ApplicationCredential> {
  const token = await passwordToken(socketPath, user);
  const own = restClient(
    () => socketPath,
    '/v3',
    () => Promise.resolve(token),
  );
  const secret = `secret-of-${user.name}`;
  const made = await own.post<Resource>(`/users/${user.id}/application_credentials`, { name: 'berth', secret });
  return { id: made.id, name: 'berth', secret };
}
