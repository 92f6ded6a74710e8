/**
 * A User-Mode Linux guest: Debian's Linux 6.1 as an ordinary process, with what the kernel of a test machine may lack
 * (8021q, ipvlan, VLAN-aware bridges, geneve, Open vSwitch's datapath). It sees the machine's files and can change none.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageArchive } from './images.ts';
import { repository } from './machine.ts';
import { claimBed, noteProcess, removeBed } from './ownership.ts';
import { start } from './process.ts';

export interface UmlOptions {
  /** MiB of memory; what the guest writes is in it too. Default 512, with `docker` 1536. */
  readonly memory?: number;
  /** Milliseconds until the guest is killed. Default 300,000, with `docker` 600,000. */
  readonly timeout?: number;
  /**
   * This machine's Docker engine runs in the guest, with these flags and the image `bed-busybox`. It is up after 15 s
   * with `--bridge=none --iptables=false`, after 30 s with packet filters; each `docker run` takes 10 s.
   */
  readonly docker?: readonly string[];
}

export interface UmlResult {
  /** Exit code of the script. */
  readonly code: number;
  /** What the script has written to standard output and error. */
  readonly output: string;
}

/**
 * Runs a shell script as root in a new guest; Node is in PATH, and `$BERTH_REPOSITORY` is this repository.
 * @throws when the guest does not come to the end of the script, with the output so far and the kernel's messages.
 */
export async function runInUml(script: string, options: UmlOptions = {}): Promise<UmlResult> {
  const { docker, memory = docker ? 1536 : 512, timeout = docker ? 600_000 : 300_000 } = options;
  const { id, dir } = claimBed('uml');
  const at = (name: string) => join(dir, name);
  const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '');
  try {
    writeFileSync(
      at('script'),
      `export BERTH_REPOSITORY=${repository} PATH=${repository}/node_modules/node/bin:$PATH\n${script}\n`,
    );
    if (docker) {
      writeFileSync(at('dockerd.flags'), docker.join(' '));
      writeFileSync(at('image.tar'), await imageArchive('busybox'));
    }
    // A pid namespace that ends with this process: the guest is many processes on the machine.
    const lifeline = ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--pid', '--fork', '--kill-child=KILL', '--'];
    const kernel = ['linux.uml', `mem=${memory}M`, `uml_dir=${dir}`, 'umid=guest', 'con=null', 'con0=null,fd:1'];
    const root = ['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro'];
    const init = [`init=${join(import.meta.dirname, 'uml-init.sh')}`, `BERTH_DIR=${dir}`];
    const guest = await start([...lifeline, ...kernel, ...root, ...init], {
      log: at('console'),
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', HOME: dir },
    });
    mkdirSync(at('process'));
    noteProcess(at('process'), guest.pid);
    const timer = setTimeout(() => guest.kill('SIGKILL'), timeout);
    await guest.exited();
    clearTimeout(timer);
    const output = read('output');
    if (existsSync(at('code'))) return { code: Number(read('code')), output };
    throw new Error(
      `The guest did not come to the end of the script within ${timeout} ms.\n${output}\n${read('dockerd.log').slice(-2000)}\n${read('console').slice(-2000)}`,
    );
  } finally {
    removeBed(id);
  }
}
