/**
 * `make up` and `make down`. With a Docker engine on the machine, Berth runs beside it. Without one, a host is made in
 * namespaces of this machine, with an engine of its own: nothing of the machine itself is touched.
 */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { styleText } from 'node:util';

const root = join(import.meta.dirname, '..');
const folder = join(root, '.cache', 'up');
const stateFile = join(folder, 'state.json');
const logFile = join(folder, 'log');
const NETWORK = 'berth-demo';
const CONTAINERS = ['berth-demo-a', 'berth-demo-b'] as const;
const IMAGE = 'berth-demo:1';

interface Up {
  /** The process that holds the host in namespaces, or the agent itself beside the machine's engine. */
  readonly pid: number;
  /** When that process started, in clock ticks: a pid may come back as another process. */
  readonly startTime: string;
  readonly kind: 'machine' | 'namespace';
  /** The engine and the agent, as seen from here. */
  readonly docker: string;
  readonly runDir: string;
}

if (process.getuid?.() !== 0) fail('make up needs root: it makes network interfaces');
if (process.argv[2] === '--hold') await hold();
else if (process.argv[2] === '--down') down();
else await up();

async function up(): Promise<void> {
  const before = current();
  if (before !== undefined) {
    show(before, 'Berth is up already.');
    return;
  }
  const engine = await listens('/run/docker.sock');
  // Beside an engine that runs, only the demo's image needs something of the machine.
  if (!engine || !existsSync('/usr/bin/busybox')) {
    step('Installing what is missing (Debian packages)');
    if (spawnSync(join(root, 'tools/prepare-tests.sh'), { stdio: ['ignore', 'ignore', 'inherit'] }).status !== 0) {
      fail('the packages could not be installed');
    }
  }
  mkdirSync(folder, { recursive: true });
  step(
    engine
      ? 'Starting the agent beside the Docker engine of this machine'
      : 'No Docker engine runs here: making a host in namespaces, with an engine of its own',
  );
  const log = openSync(logFile, 'w');
  const command = engine ? [join(root, 'bin/berth'), 'agent'] : [process.execPath, join(root, 'tools/up.ts'), '--hold'];
  const child = spawn(command[0]!, command.slice(1), { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  child.unref();
  const ended = new Promise<never>((_, reject) =>
    child.once('exit', () => reject(new Error(`it ended: see ${logFile}\n${tail()}`))),
  );
  ended.catch(() => undefined);
  const beginning = { pid: child.pid!, startTime: startTime(child.pid!) ?? '' };
  if (engine) save({ ...beginning, kind: 'machine', docker: 'unix:///run/docker.sock', runDir: '/run/berth' });
  const state = await Promise.race([ended, ready(60_000)]);
  step(`Making the network ${NETWORK} and two containers on it`);
  makeContainers(state);
  prove(state);
  show(state, 'Berth is up.');
}

/** Runs in the background for as long as the host in namespaces lives. */
async function hold(): Promise<void> {
  const { openBed } = await import('../test/e2e/bed/bed.ts');
  const bed = await openBed('up');
  const host = await bed.host('demo');
  let leaving = false;
  // As systemd does with the unit's Restart=on-failure: whoever tries the demo may kill its agent to see what comes of it.
  const keepRunning = async (): Promise<void> => {
    const agent = await host.startBerth();
    void agent.exited().then(() => (leaving ? undefined : keepRunning()));
  };
  await keepRunning();
  save({
    pid: process.pid,
    startTime: startTime(process.pid) ?? '',
    kind: 'namespace',
    docker: `unix://${host.path('/run/docker.sock')}`,
    runDir: host.path('/run/berth'),
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  const alive = setInterval(() => undefined, 60_000);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  await promise;
  leaving = true;
  clearInterval(alive);
  await bed[Symbol.asyncDispose]();
}

function makeContainers(state: Up): void {
  const loaded = spawnSync(
    'sh',
    [
      '-c',
      `d=$(mktemp -d) && mkdir -p $d/bin $d/etc $d/tmp && cp /usr/bin/busybox $d/bin/ && $d/bin/busybox --install -s $d/bin && for l in $d/bin/*; do [ -L $l ] && ln -sf busybox $l; done; tar -C $d -c . ; rm -r $d`,
    ],
    { maxBuffer: 1 << 26 },
  );
  docker(state, ['import', '-c', 'CMD ["sh"]', '-', IMAGE], loaded.stdout);
  docker(state, ['network', 'create', '--driver', 'berth', '--ipam-driver', 'berth', NETWORK]);
  for (const name of CONTAINERS)
    docker(state, ['run', '-d', '--init', '--name', name, '--network', NETWORK, IMAGE, 'sleep', '1000000']);
}

/** Shows by pings what a network is for; fails when one of them does. */
function prove(state: Up): void {
  const [a, b] = CONTAINERS;
  const gateway = docker(state, ['network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', NETWORK]);
  const pings = [
    [a, b, `${a} reaches ${b} by name`],
    [b, a, `${b} reaches ${a} by name`],
    [a, gateway.replace(/\/.*/, ''), `${a} reaches the host (${gateway})`],
  ] as const;
  for (const [from, to, what] of pings) {
    docker(state, ['exec', from, 'ping', '-c', '1', '-W', '3', to]);
    process.stdout.write(`  ${styleText('green', 'ok')}  ${what}\n`);
  }
  const uplink = state.kind === 'namespace' ? '10.8.65.1' : defaultGateway();
  if (uplink === undefined) return;
  const outside =
    spawnSync('docker', ['-H', state.docker, 'exec', a, 'ping', '-c', '1', '-W', '3', uplink]).status === 0;
  process.stdout.write(
    `  ${outside ? styleText('green', 'ok') : styleText('yellow', '--')}  ${a} ${outside ? 'reaches' : 'got no answer from'} the router outside (${uplink})\n`,
  );
}

function show(state: Up, sentence: string): void {
  const address = (name: string): string => {
    const got = spawnSync(
      'docker',
      ['-H', state.docker, 'inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', name],
      { encoding: 'utf8' },
    );
    return got.stdout.trim() || 'not there';
  };
  const engine = state.kind === 'machine' ? '' : `-H ${state.docker} `;
  const berth = state.kind === 'machine' ? 'bin/berth' : `BERTH_RUN_DIR=${state.runDir} bin/berth`;
  process.stdout.write(`
${styleText('bold', sentence)} The network ${NETWORK} (driver berth) has ${CONTAINERS.map((name) => `${name} at ${address(name)}`).join(' and ')}.

  docker ${engine}run --rm --network ${NETWORK} ${IMAGE} ping -c 1 ${CONTAINERS[0]}
  ${berth} status
  ${berth} endpoint ls
  make down
`);
}

function down(): void {
  const state = current();
  if (state === undefined) {
    process.stdout.write('Berth is not up.\n');
    return;
  }
  if (state.kind === 'machine') {
    for (const command of [
      ['rm', '-f', ...CONTAINERS],
      ['network', 'rm', NETWORK],
      ['rmi', IMAGE],
    ])
      spawnSync('docker', ['-H', state.docker, ...command], { stdio: 'ignore' });
  }
  process.kill(state.pid, 'SIGTERM');
  const deadline = Date.now() + 60_000;
  while (startTime(state.pid) === state.startTime && Date.now() < deadline)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  if (startTime(state.pid) === state.startTime) fail(`process ${state.pid} did not end within a minute`);
  rmSync(stateFile, { force: true });
  process.stdout.write('Berth is down; the demo network and its containers are gone.\n');
}

function current(): Up | undefined {
  if (!existsSync(stateFile)) return undefined;
  const state = JSON.parse(readFileSync(stateFile, 'utf8')) as Up;
  if (startTime(state.pid) === state.startTime) return state;
  rmSync(stateFile, { force: true });
  return undefined;
}

function save(state: Up): void {
  writeFileSync(stateFile, JSON.stringify(state));
}

/** Resolves when the state is known and the agent answers on its socket. */
async function ready(milliseconds: number): Promise<Up> {
  const deadline = Date.now() + milliseconds;
  while (Date.now() < deadline) {
    const state = current();
    if (state !== undefined && (await listens(join(state.runDir, 'berth.sock')))) return state;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return fail(`it was not ready after ${milliseconds / 1000} s: see ${logFile}\n${tail()}`);
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function docker(state: Up, args: readonly string[], input?: Buffer): string {
  const result = spawnSync('docker', ['-H', state.docker, ...args], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  if (result.status !== 0) fail(`docker ${args.join(' ')}: ${result.stderr.trim()}`);
  return result.stdout.trim();
}

function defaultGateway(): string | undefined {
  return /via (\S+)/.exec(spawnSync('ip', ['-4', 'route', 'show', 'default'], { encoding: 'utf8' }).stdout)?.[1];
}

/** Field 22 of /proc/PID/stat (proc_pid_stat(5)), behind the name, which may hold anything. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function tail(): string {
  return existsSync(logFile) ? readFileSync(logFile, 'utf8').trim().split('\n').slice(-10).join('\n') : '';
}

function step(sentence: string): void {
  process.stdout.write(`${styleText('dim', '…')} ${sentence}\n`);
}

function fail(sentence: string): never {
  process.stderr.write(`make up: ${sentence}\n  next: make down, then try again\n`);
  process.exit(1);
}
