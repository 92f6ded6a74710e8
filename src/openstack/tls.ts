/** What is trusted in TLS, and what we show: keystoneauth's `cafile`, `certfile`, `keyfile` and `insecure`. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { BerthError } from '../model/errors.ts';

export interface TlsSettings {
  /** A file of PEM certificates, or a folder of such files. Without: what the host trusts. */
  readonly cafile?: string | undefined;
  readonly certfile?: string | undefined;
  /** Without: the key is in `certfile` too. */
  readonly keyfile?: string | undefined;
  /** Does not look at the server's certificate. */
  readonly insecure?: boolean | undefined;
}

/** Where Debian, Fedora and SUSE keep what the host trusts. Node brings a list of its own, which knows no company's authority. */
const HOST_AUTHORITIES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
];

/** @throws BerthError BAD_CONFIG for a file that cannot be read, or holds nothing of the kind. */
export function secureContext(settings: TlsSettings): SecureContext {
  const { cafile, certfile, keyfile } = settings;
  if (certfile === undefined && keyfile !== undefined)
    throw new BerthError('BAD_CONFIG', `keyfile is given (${keyfile}), but no certfile`);
  const ca = cafile === undefined ? hostAuthorities() : authorities(cafile);
  const cert = certfile === undefined ? undefined : read(certfile, 'certfile');
  const key = keyfile === undefined ? cert : read(keyfile, 'keyfile');
  try {
    return createSecureContext({ ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert, key }) });
  } catch (error) {
    const files = [cafile, certfile, keyfile].filter((file) => file !== undefined).join(', ');
    throw new BerthError('BAD_CONFIG', `the certificates in ${files} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function authorities(path: string): string[] {
  const texts = isFolder(path) ? readdirSync(path).map((name) => join(path, name)) : [path];
  const pem = texts.filter((file) => !isFolder(file)).map((file) => read(file, 'cafile'));
  const found = pem.filter((text) => text.includes('-----BEGIN '));
  if (found.length === 0) throw new BerthError('BAD_CONFIG', `cafile ${path} holds no certificate in PEM form`);
  return found;
}

function hostAuthorities(): string | undefined {
  for (const file of HOST_AUTHORITIES) {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      // Another distribution.
    }
  }
  return undefined;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new BerthError('BAD_CONFIG', `${what} ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
