/**
 * Discovery files: how Docker finds a plugin that is not a socket in its plugin directory. It looks into /etc/docker/plugins and
 * /usr/lib/docker/plugins for NAME.spec and NAME.json; the base name is the plugin's (moby `pkg/plugins/discovery.go`).
 */

import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BerthError } from '../model/errors.ts';
import { answers } from './socket-file.ts';
import { shown } from './text.ts';

/** Paths of PEM files that Docker presents, and checks the plugin with. */
export interface ClientCertificate {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * Writes `NAME.spec` (one URL), or with a client certificate `NAME.json`, into a directory, atomically. A file of the same
 * name that leads to nobody is replaced.
 *
 * @param url `unix:///path`, or `https://host:port` with a certificate: Docker takes `tcp://` for plain HTTP.
 * @returns a function that removes the file, if it is still the one written here.
 * @throws BerthError SOCKET_IN_USE when another plugin that lives has that file; BAD_CONFIG.
 */
export async function publishSpec(
  directory: string,
  name: string,
  url: string,
  client?: ClientCertificate,
): Promise<() => void> {
  const path = join(directory, `${name}${client === undefined ? '.spec' : '.json'}`);
  const content = client === undefined ? `${url}\n` : `${JSON.stringify(json(name, url, client), undefined, 2)}\n`;
  try {
    mkdirSync(directory, { recursive: true });
    await refuseForeign(path, url);
    // Docker reads every file that ends in .spec or .json.
    const temporary = join(directory, `.${name}.${process.pid}.tmp`);
    writeFileSync(temporary, content, { mode: 0o644 });
    renameSync(temporary, path);
    const { ino } = lstatSync(path);
    return () => {
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path);
    };
  } catch (error) {
    if (error instanceof BerthError) throw error;
    throw new BerthError('BAD_CONFIG', `cannot write ${shown(path)}: ${(error as Error).message}`, { cause: error });
  }
}

function json(name: string, url: string, client: ClientCertificate) {
  return {
    Name: name,
    Addr: url,
    TLSConfig: { InsecureSkipVerify: false, CAFile: client.ca, CertFile: client.certificate, KeyFile: client.key },
  };
}

async function refuseForeign(path: string, ours: string): Promise<void> {
  const url = addressIn(path);
  if (url === undefined || url === ours) return;
  const at = url.startsWith('unix://') ? { path: url.slice('unix://'.length) } : hostAndPort(url);
  if (at !== undefined && (await answers(at)))
    throw new BerthError('SOCKET_IN_USE', `${shown(path)} leads to another plugin, at ${shown(url)}`);
}

/** The URL in an existing file; undefined when there is no file, or none with a URL, which serves nobody. */
function addressIn(path: string): string | undefined {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const content = readFileSync(path, 'utf8');
  if (path.endsWith('.spec')) return content.trim();
  try {
    const address = (JSON.parse(content) as { Addr?: unknown } | null)?.Addr;
    return typeof address === 'string' ? address : undefined;
  } catch {
    return undefined;
  }
}

function hostAndPort(url: string): { host: string; port: number } | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const port = Number(parsed?.port);
  if (parsed === undefined || port === 0 || parsed.hostname === '') return undefined;
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port };
}
