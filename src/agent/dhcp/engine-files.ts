/**
 * By what a container is known when it starts, read from what the engine wrote down when it was made. While the engine starts
 * a container it does not answer for it; and Compose starts one a few milliseconds after it was made.
 *
 * Source: moby `container/container.go` (config.v2.json) and `layer/filestore.go` (mount-id), the same since 1.10.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { exposedPorts } from '../../docker/engine-wire.ts';
import { givenHostName, type Marks } from './who.ts';

const Config = z.object({
  Driver: z.string(),
  Config: z.object({ ExposedPorts: z.record(z.string(), z.unknown()).nullish(), Hostname: z.string().nullish() }),
});

/**
 * @param folder the engine's (`DockerRootDir` of its API).
 * @param id 64 hexadecimal digits.
 * @returns undefined when nothing of the container can be read, as where the engine's folder is not visible.
 */
export function readMarks(folder: string, id: string): Marks | undefined {
  try {
    const text = readFileSync(join(folder, 'containers', id, 'config.v2.json'), 'utf8');
    const { Driver: driver, Config: config } = Config.parse(JSON.parse(text));
    const exposes = exposedPorts(config.ExposedPorts);
    const root = readRoot(folder, driver, id);
    const hostName = givenHostName(id, config.Hostname ?? '');
    return {
      ...(root === undefined ? {} : { root }),
      ...(exposes.length === 0 ? {} : { exposes }),
      ...(hostName === undefined ? {} : { hostName }),
    };
  } catch {
    return undefined;
  }
}

/** Engines with containerd's image store have no such file: their mount points have the container's id in them. */
function readRoot(folder: string, driver: string, id: string): string | undefined {
  if (driver !== 'overlay2') return undefined;
  const mount = readFileSync(join(folder, 'image', driver, 'layerdb/mounts', id, 'mount-id'), 'utf8').trim();
  return join(folder, driver, mount, 'merged');
}
