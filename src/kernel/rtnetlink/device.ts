/** What a NIC is a device of, where the kernel does not say so over netlink: before 5.14 (IFLA_PARENT_DEV_NAME). */

import { readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * The name of a link's device on its bus, such as `0000:03:00.1`, of a link of our own namespace.
 *
 * @param root Documentation/ABI/testing/sysfs-class-net
 * @returns undefined for a link that is no device's.
 */
export function deviceOf(link: string, root = '/sys/class/net'): string | undefined {
  try {
    return basename(readlinkSync(join(root, link, 'device')));
  } catch {
    return undefined;
  }
}
