/** Where netctl does not do what was recorded of Contiv's; docs/migrate-contiv.md tells users of each, in these words. */

import type { GoldenCase } from '../../../src/cli/netctl/testing/golden.ts';

export interface Difference {
  /** Stands in the page. */
  readonly documented: string;
  readonly ours:
    | Partial<Pick<GoldenCase, 'stdout' | 'stderr' | 'exit'>>
    | ((golden: GoldenCase) => Partial<GoldenCase>);
  /** What brings the state back to that of the recording. */
  readonly afterwards?: readonly string[];
}

const error = (sentence: string): string => `time="" level=error msg="${sentence}"\n`;

const nameWithSlash = 'a name with a slash is refused as such';
const badService = 'a service with a port that is none is refused';
const misspelt = 'wrong words are an error';

export const differences: Readonly<Record<string, Difference>> = {
  'netctl tenant create bad/name': {
    documented: nameWithSlash,
    ours: { stderr: error('tenantName string invalid format') },
  },
  'netctl network create -s 10.13.0.0/24 bad/name': {
    documented: nameWithSlash,
    ours: { stderr: error('networkName string invalid format') },
  },
  'netctl network create -s 10.2.0.0/16 -g 10.3.0.1 gwbad': {
    documented: 'another of several faults may be named',
    ours: { stderr: error('hostIP 10.3.0.1 is exceeding beyond subnet 10.2.0.0/16') },
  },
  'netctl service create -s test-net -t default -l app=web -p banana svc4': {
    documented: badService,
    ours: { stderr: error('Invalid Port maping . Port format is - Port:TargetPort:Protocol') },
  },
  'netctl service ls': {
    documented: badService,
    ours: ({ stdout }) => ({ stdout: stdout.replace(/^svc4 .*\n/m, '') }),
  },
  'netctl service ls --json': {
    documented: badService,
    ours: ({ stdout }) => {
      const services = (JSON.parse(stdout) as { serviceName: string }[]).filter(
        ({ serviceName }) => serviceName !== 'svc4',
      );
      return { stdout: `${JSON.stringify(services, null, 2)}\n` };
    },
  },
  'netctl bgp inspect hostX': {
    documented: '`bgp inspect` answers while the host is away',
    ours: {
      stdout: `${JSON.stringify(
        {
          Config: {
            key: 'hostX',
            as: '65002',
            hostname: 'hostX',
            neighbor: '50.1.1.1',
            'neighbor-as': '500',
            routerip: '50.1.1.2/24',
          },
          Oper: {},
        },
        null,
        2,
      )}\n`,
      stderr: '',
      exit: 0,
    },
  },
  'netctl global set -x 1-20000': {
    documented: 'VNIs up to 16777215',
    ours: { stderr: '', exit: 0 },
    afterwards: ['global set -x 1-10000'],
  },
  'netctl endpoint inspect 75a2b6dd9329a10c9669588f9c0c96f08f549245b86880cc6e42e936c1ff6655': {
    documented: 'no `virtualPort`',
    ours: ({ stdout }) => ({ stdout: stdout.replace(/,\n *"virtualPort": "vvport1"/, '') }),
  },
  'netctl bogus': { documented: misspelt, ours: { exit: 1 } },
  'netctl network bogus': { documented: misspelt, ours: { exit: 1 } },
  'netctl network ls --bogus': { documented: misspelt, ours: { exit: 1 } },
  'netctl help network': {
    documented: '`netctl help NOUN` prints the page of the noun',
    ours: { stdout: 'NAME:\n   netctl network - Network manipulation tools\n\nUSAGE:\n   netctl network command' },
  },
};
