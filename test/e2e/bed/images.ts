/** Images without a registry: root file systems made from this machine's own busybox and iperf3. */

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { claimBed, removeBed } from './ownership.ts';
import { run } from './process.ts';

export type ImageName = 'busybox' | 'iperf3';

/**
 * pid 1 is tini, which passes signals on: a shell or `sleep` as pid 1 ignores SIGTERM, and each stop then takes 10 s.
 * An interactive shell ignores it as well, hence the stop signal.
 */
export const imageChanges = ['ENTRYPOINT ["/sbin/tini", "--"]', 'CMD ["sh"]', 'ENV PATH=/usr/bin:/bin:/sbin'];

const archives = new Map<ImageName, Promise<Buffer>>();

/** A tar archive for `docker import`: about 3 MB for busybox, 12 MB for iperf3, which has busybox too. */
export function imageArchive(name: ImageName): Promise<Buffer> {
  let archive = archives.get(name);
  if (!archive) {
    archive = pack(name);
    archives.set(name, archive);
  }
  return archive;
}

async function writeRootfs(name: ImageName, root: string): Promise<void> {
  for (const folder of ['bin', 'sbin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'run', 'root', 'usr/bin', 'var/run']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync('/usr/bin/busybox', join(root, 'bin/busybox'));
  copyFileSync('/usr/bin/tini-static', join(root, 'sbin/tini'));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  const { stdout } = await run(['/usr/bin/busybox', '--list']);
  for (const applet of stdout.split('\n')) {
    if (applet && applet !== 'busybox') symlinkSync('/bin/busybox', join(root, 'bin', applet));
  }
  if (name === 'iperf3') await copyProgram('/usr/bin/iperf3', root);
}

/** A dynamically linked program with its libraries, which ldd names (the last column with a path). */
async function copyProgram(program: string, root: string): Promise<void> {
  const { stdout } = await run(['ldd', program]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]!);
  for (const file of [program, ...libraries]) {
    const target = join(root, file);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(file, target);
    chmodSync(target, 0o755);
  }
}

async function pack(name: ImageName): Promise<Buffer> {
  const claim = claimBed('image');
  try {
    await writeRootfs(name, claim.dir);
    const tar = spawnSync('tar', ['-C', claim.dir, '-c', '.'], { maxBuffer: 256 << 20 });
    if (tar.status !== 0) throw new Error(`tar: ${tar.stderr.toString()}`);
    return tar.stdout;
  } finally {
    removeBed(claim.id);
  }
}
