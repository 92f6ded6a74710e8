/** Keystone's catalogue of services: which URL serves what, in which region, for whom. */

import { z } from 'zod';
import { BerthError } from '../../model/errors.ts';
import { oneLine } from '../text.ts';

export const interfaces = ['public', 'internal', 'admin'] as const;
export type Interface = (typeof interfaces)[number];

export const catalogSchema = z.array(
  z.object({
    type: z.string(),
    name: z.string().nullish(),
    endpoints: z.array(
      z.object({
        interface: z.string(),
        url: z.string(),
        region_id: z.string().nullish(),
        region: z.string().nullish(),
      }),
    ),
  }),
);
export type Catalog = z.infer<typeof catalogSchema>;

export interface EndpointWish {
  /** `network` for Neutron. */
  readonly type: string;
  readonly name?: string | undefined;
  /** Any when not given, which is the first of the catalogue. */
  readonly region?: string | undefined;
  /** The first of them that there is. */
  readonly interfaces: readonly Interface[];
}

/** @throws BerthError OPENSTACK_NO_ENDPOINT, which says what the catalogue has instead. */
export function findEndpoint(catalog: Catalog, wish: EndpointWish): string {
  const services = catalog.filter(
    ({ type, name }) => type === wish.type && (wish.name === undefined || name === wish.name),
  );
  if (services.length === 0) {
    const types = [...new Set(catalog.map(({ type }) => type))].toSorted();
    const named = wish.name === undefined ? '' : ` called '${wish.name}'`;
    const there = types.length === 0 ? 'it is empty: the token has no project' : `it has ${types.join(', ')}`;
    throw none(`the catalogue of Keystone has no service of type '${wish.type}'${named}; ${there}`);
  }
  const endpoints = services.flatMap(({ endpoints }) => endpoints);
  const here = endpoints.filter(
    ({ region, region_id }) => wish.region === undefined || wish.region === (region_id ?? region),
  );
  for (const wanted of wish.interfaces) {
    const found = here.find((endpoint) => endpoint.interface === wanted);
    if (found !== undefined) return found.url;
  }
  const has = endpoints.map(
    ({ region, region_id, interface: kind }) => `${kind} in ${region_id ?? region ?? 'no region'}`,
  );
  const where = wish.region === undefined ? '' : ` in the region '${wish.region}'`;
  throw none(
    `the catalogue of Keystone has no ${wish.interfaces.join(' or ')} endpoint for '${wish.type}'${where}; it has ${
      has.length === 0 ? 'none' : [...new Set(has)].join(', ')
    }`,
  );
}

function none(sentence: string): BerthError {
  return new BerthError('OPENSTACK_NO_ENDPOINT', oneLine(sentence, 600));
}
