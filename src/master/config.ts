/** The master's settings, from `berth master` or from `netmaster` with its old flags. */

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { BerthError } from '../model/errors.ts';
import type { StoreLocation } from '../store/location.ts';
import type { Listen } from './server.ts';

export interface MasterOptions {
  readonly store: StoreLocation;
  readonly listen: readonly string[];
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly auditLog?: string | undefined;
  readonly logLevel: string;
  /** What a new cluster begins with; one that exists keeps what it has. */
  readonly forwardMode: string;
  readonly fabricMode: string;
  /** What the API says of it: docker or swarm-mode. */
  readonly clusterMode: string;
}

/** `HOST:PORT`, `:PORT`, or `[v6]:PORT`. @throws BerthError BAD_CONFIG */
export function parseListen(text: string): Listen {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*)):([0-9]{1,5})$/.exec(text.replace(/^tcp:\/\//, ''));
  const port = Number(match?.[3]);
  if (match === null || port > 65535) throw new BerthError('BAD_CONFIG', `'${text}' is not ADDRESS:PORT`);
  return { host: match[1] ?? (match[2] === '' ? '0.0.0.0' : match[2]!), port };
}

/** @throws BerthError BAD_CONFIG */
export function readTls({ tlsCert, tlsKey }: Pick<MasterOptions, 'tlsCert' | 'tlsKey'>) {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new BerthError('BAD_CONFIG', '--tls-cert and --tls-key are needed together');
  }
  try {
    const tls = { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') };
    createSecureContext(tls);
    return tls;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BerthError('BAD_CONFIG', `the certificate or its key cannot be used: ${why}`, { cause: error });
  }
}
