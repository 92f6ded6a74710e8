/** The container that is attached: whether it can be, and which default routes have to make room. */

import type { EngineContainer } from '../docker/engine.ts';
import type { HostView } from '../kernel/kernel.ts';
import type { Route } from '../kernel/objects.ts';
import type { Attachment } from '../model/attachment.ts';
import { BerthError } from '../model/errors.ts';
import { parsePrefix } from '../model/prefix.ts';
import { isNamespace } from './occupied.ts';

const DEFAULT_ROUTE = { 4: parsePrefix('0.0.0.0/0')!, 6: parsePrefix('::/0')! } as const;
const MAIN_TABLE = 254;
/** RTPROT_BOOT, as the engine's own routes have it. */
const BOOT = 3;

/**
 * The network namespace that a container can be plugged in.
 *
 * @throws BerthError CONTAINER_STOPPED, CONTAINER_UNSUITABLE
 */
export function checkSandbox({ name, running, networkMode, sandbox }: EngineContainer): string {
  if (!running) throw new BerthError('CONTAINER_STOPPED', `the container ${name} does not run`);
  if (networkMode === 'host') {
    throw new BerthError('CONTAINER_UNSUITABLE', `the container ${name} has the network of the host`);
  }
  if (networkMode.startsWith('container:')) {
    const other = networkMode.slice('container:'.length, 'container:'.length + 12);
    throw new BerthError(
      'CONTAINER_UNSUITABLE',
      `the container ${name} has the network of the container ${other}: attach that one`,
    );
  }
  if (sandbox === undefined || !isNamespace(sandbox)) {
    throw new BerthError(
      'CONTAINER_UNSUITABLE',
      `the network namespace of the container ${name} is not to be seen here`,
    );
  }
  return sandbox;
}

/** The default routes whose place those of an attachment will take: of one destination and metric the kernel has one. */
export function displaced({ gateways }: Attachment, inside: HostView): Attachment['displaced'] {
  return gateways.flatMap(({ family }) => {
    const usual = family === 4 ? 0 : 1024;
    const route = inside.routes.find(
      ({ table, destination, metric }) =>
        table === MAIN_TABLE && destination.length === 0 && destination.address.family === family && metric === usual,
    );
    return route?.via === undefined || route.link === undefined ? [] : [{ via: route.via, link: route.link }];
  });
}

/** Those, to be put back. */
export function formerRoutes({ displaced: routes }: Attachment, netns: string): readonly Route[] {
  return routes.map(({ via, link }) => {
    const destination = DEFAULT_ROUTE[via.family];
    return { kind: 'route', netns, link, destination, via, protocol: BOOT };
  });
}
