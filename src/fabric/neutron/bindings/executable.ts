/**
 * Any other `binding:vif_type`: by an executable of that name in `bindir`, as kuryr-libnetwork has them for `midonet` and `iovisor`
 * (kuryr.lib.binding.drivers.veth). It is given the pair's end on the host, and does the rest.
 *
 * What we wire ourselves never goes this way: kuryr's own programs for `bridge` and `ovs` lie in the same directory, and end with
 * success whatever has become of them.
 */

import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { BerthError } from '../../../model/errors.ts';
import type { EndpointId } from '../../../model/ids.ts';
import type { Mac } from '../../../model/mac.ts';
import { oneLine } from '../../../openstack/text.ts';
import type { Binding } from '../records.ts';
import { tapName } from './pair.ts';
import { pythonRepr } from './program/python-repr.ts';
import { type ProgramEnd, runProgram } from './program/run.ts';

/** A port that is wired so. */
export interface ExecutablePort {
  readonly port: string;
  readonly endpoint: EndpointId;
  readonly mac: Mac;
  /** Neutron's id of its network. */
  readonly network: string;
  readonly binding: Binding;
}

/** Of a type that is a file's name, and cannot lead elsewhere. */
const TYPE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** The program for a type; undefined where the administrator has put none. */
export function executableFor(type: string, bindir: string): string | undefined {
  if (!TYPE.test(type)) return undefined;
  const file = join(bindir, type);
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}

const details = ({ binding }: ExecutablePort): string => pythonRepr(binding.details);

/** The order is that of kuryr-libnetwork, and another for each. */
export const bindArguments = (port: ExecutablePort): readonly string[] => [
  'bind',
  port.port,
  tapName(port),
  port.endpoint,
  port.mac,
  port.network,
  port.binding.project ?? '',
  details(port),
];

export const unbindArguments = (port: ExecutablePort): readonly string[] => [
  'unbind',
  port.port,
  tapName(port),
  port.endpoint,
  port.mac,
  details(port),
  port.network,
];

/** @throws BerthError PORT_PROGRAM_FAILED, with what it printed. */
export async function runFor(file: string, args: readonly string[], limit: number): Promise<void> {
  const end = await runProgram({ file, args, limit });
  if (end.how === 'exit' && end.code === 0) return;
  throw new BerthError('PORT_PROGRAM_FAILED', `${file} ${args[0]} of the port ${args[1]} ${failure(end, limit)}`);
}

function failure(end: ProgramEnd, limit: number): string {
  if (end.how === 'not started') return `could not be started (${end.code})`;
  const said = oneLine(end.output, 300);
  const words = said === '' ? ' and printed nothing' : `: ${said}`;
  switch (end.how) {
    case 'exit':
      return `failed with status ${end.code}${words}`;
    case 'signal':
      return `was ended by ${end.signal}${words}`;
    case 'out of time':
      return `took longer than ${limit / 1000} s and was killed${words}`;
  }
}
