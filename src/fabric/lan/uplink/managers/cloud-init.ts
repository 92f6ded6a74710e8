/** cloud-init writes the host's network files anew, at each boot or at the first one of an instance, unless it is told not to. */

import { join } from 'node:path';
import { type ConfigFile, readText } from './manager.ts';

const TOLD = '/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg';

/**
 * The file that keeps cloud-init from overwriting a file which it has made; none for any other file, or when it is there already.
 *
 * @param path of the network file, whose `text` tells where it comes from.
 * @param root of the file system.
 */
export async function keepingCloudInitOff(path: string, text: string, root: string): Promise<readonly ConfigFile[]> {
  const its = path.includes('cloud-init') || /^#.*cloud-init/m.test(text);
  if (!its || (await readText(join(root, TOLD))) !== undefined) return [];
  return [{ path: TOLD, content: 'network: {config: disabled}\n' }];
}
