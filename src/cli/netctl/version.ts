/** Versions in Contiv's three lines. */

import { version } from '../../model/version.ts';

export interface VersionInfo {
  readonly Version: string;
  readonly GitCommit: string;
  readonly BuildTime: string;
}

/** A build is known by its version alone: it is the same wherever and whenever it is made. */
export const clientVersion: VersionInfo = { Version: version, GitCommit: 'berth', BuildTime: '' };

export function versionLines({ Version, GitCommit, BuildTime }: VersionInfo): string {
  return `Version: ${Version}\nGitCommit: ${GitCommit}\nBuildTime: ${BuildTime}\n`;
}
