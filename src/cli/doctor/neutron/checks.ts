/** All checks of `berth doctor neutron`, in the order in which one fault explains another. */

import type { Check } from '../check.ts';
import { agents } from './checks/agents.ts';
import { clock } from './checks/clock.ts';
import { conf } from './checks/conf.ts';
import { endpoint } from './checks/endpoint.ts';
import { extensions } from './checks/extensions.ts';
import { login } from './checks/login.ts';
import { mtu } from './checks/mtu.ts';
import { networks } from './checks/networks.ts';
import { ports } from './checks/ports.ts';
import { quota } from './checks/quota.ts';
import { rights } from './checks/rights.ts';
import type { NeutronFacts } from './facts.ts';

export type NeutronCheck = Check<NeutronFacts>;

export const neutronChecks: readonly NeutronCheck[] = [
  conf,
  login,
  endpoint,
  clock,
  extensions,
  agents,
  rights,
  quota,
  networks,
  mtu,
  ports,
];
