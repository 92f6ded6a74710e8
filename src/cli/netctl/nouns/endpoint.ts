/** `netctl endpoint`: containers on networks. */

import { inspect } from '../listing.ts';
import type { NounSpec } from '../spec.ts';

export const endpoint: NounSpec = {
  name: 'endpoint',
  aliases: ['ep'],
  usage: 'Endpoint Inspection',
  commands: [
    {
      name: 'inspect',
      usage: 'Inspect an Endpoint',
      argsUsage: '[epid]',
      args: [{ name: 'epid' }],
      argsRequired: 'Endpoint name required',
      flags: [],
      run: (session, [id]) => inspect(session, 'endpoints', [id!]),
    },
  ],
};
