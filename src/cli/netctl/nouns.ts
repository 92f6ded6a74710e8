/** All commands of netctl. */

import { aciGw } from './nouns/aci-gw.ts';
import { appProfile } from './nouns/app-profile.ts';
import { bgp } from './nouns/bgp.ts';
import { completion } from './nouns/completion.ts';
import { endpoint } from './nouns/endpoint.ts';
import { externalContracts } from './nouns/external-contracts.ts';
import { global } from './nouns/global.ts';
import { group } from './nouns/group.ts';
import { login } from './nouns/login.ts';
import { netprofile } from './nouns/netprofile.ts';
import { network } from './nouns/network.ts';
import { policy } from './nouns/policy.ts';
import { service } from './nouns/service.ts';
import { tenant } from './nouns/tenant.ts';
import { version } from './nouns/version.ts';
import type { CommandSpec, TopSpec } from './spec.ts';

/** Contiv's, in the order of its help. */
export const commands: readonly TopSpec[] = [
  aciGw,
  appProfile,
  bgp,
  endpoint,
  externalContracts,
  global,
  group,
  login,
  netprofile,
  network,
  policy,
  service,
  tenant,
  version,
];

/** Ours. */
export const addedCommands: readonly CommandSpec[] = [completion];
