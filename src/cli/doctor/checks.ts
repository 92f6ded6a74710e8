/** All checks, in the order in which a reader wants to know. A new one is a file in `checks/` and a line here. */

import type { Check } from './check.ts';
import { agent } from './checks/agent.ts';
import { bridgeFilter } from './checks/bridge-filter.ts';
import { clock } from './checks/clock.ts';
import { disk } from './checks/disk.ts';
import { dnsServers } from './checks/dns-servers.ts';
import { engine } from './checks/engine.ts';
import { firewall } from './checks/firewall.ts';
import { forwarding } from './checks/forwarding.ts';
import { kernelFeature } from './checks/kernel-features.ts';
import { limits } from './checks/limits.ts';
import { mtu } from './checks/mtu.ts';
import { openVswitch } from './checks/open-vswitch.ts';
import { overlaps } from './checks/overlaps.ts';
import { pluginFiles } from './checks/plugin-files.ts';
import { reversePath } from './checks/reverse-path.ts';
import { systemd } from './checks/systemd.ts';
import { uplinks } from './checks/uplinks.ts';

export const checks: readonly Check[] = [
  kernelFeature,
  engine,
  agent,
  pluginFiles,
  systemd,
  forwarding,
  firewall,
  bridgeFilter,
  reversePath,
  mtu,
  overlaps,
  openVswitch,
  uplinks,
  limits,
  dnsServers,
  clock,
  disk,
];
