/** Network profiles: what groups that name one may send. */

import { nameField, profileNameField } from './field.ts';
import { integer, type Kind, refuse } from './kind.ts';

/** Contiv's, with the bracket expressions that were meant as such: `10 Mbps`, `18Mb`, `4g`. */
const BANDWIDTH = /^([1-9][0-9]* ?([kmgKMG]bps|[kmgKMG]|kb|Kb|Gb|gb|Mb|mb))?$/;

export const netprofile: Kind = {
  name: 'netprofile',
  path: 'netprofiles',
  summary: 'A network profile: bandwidth and marking for groups.',
  fields: {
    DSCP: { type: 'integer', least: 0, most: 63, values: '0 to 63', help: 'The mark (RFC 2474) on what is sent.' },
    bandwidth: {
      type: 'text',
      pattern: BANDWIDTH,
      longest: 64,
      values: '10 Mbps, 18Mb, 4g, or empty',
      help: 'Bits per second that each container may send; empty: no limit.',
    },
    burst: {
      type: 'integer',
      least: 0,
      most: 10486,
      values: '2 to 10486, or 0',
      help: 'Kilobytes that may go at once.',
    },
    profileName: profileNameField('Name.'),
    tenantName: nameField('Its tenant.'),
  },
  key: ['tenantName', 'profileName'],
  linkSets: true,
  links: ['Tenant'],
  oper: false,
  notInForce: 'network profiles are stored and checked; no bandwidth is limited by them yet',
  check: (config) => {
    if (integer(config, 'burst') === 1) refuse('OBJECT_INVALID', 'Invalid Burst size. burst size > 1500 bytes');
  },
  update: (_, config) => {
    if (integer(config, 'burst') === 1) {
      refuse('OBJECT_INVALID', 'Invalid Burst size. burst size must be > 1500 bytes');
    }
    return config;
  },
};
