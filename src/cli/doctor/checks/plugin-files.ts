import { type Check, type Finding, fail, orOk, warn } from '../check.ts';
import { type Facts, pluginNames } from '../facts.ts';
import { keeper, managedBerth, plainName, serviceIsOn } from '../keeper.ts';

/**
 * How Docker finds plugins: managed ones first, then sockets in the plugin directory, then spec files (moby `pkg/plugins`).
 * What comes first wins, alive or not; a dead one costs every operation that meets it 15 s.
 */
export const pluginFiles: Check = {
  name: 'plugin files',
  look(facts) {
    const ours = pluginNames(facts);
    const running = 'status' in facts.agent;
    const managed = managedBerth(facts);
    const findings: Finding[] = [
      ...staleSockets(facts),
      ...strangers(facts, ours),
      ...idlePlugin(facts),
      ...shadowedSpecs(facts, ours),
    ];
    const found = [...facts.sockets, ...facts.specs].map(({ name }) => name);
    if (managed?.enabled === true) found.push(plainName(managed.name).replace(/:.*/, ''));
    const missing = ours.filter((name) => !found.includes(name));
    if (running && missing.length > 0) {
      const sentence = `Docker cannot find ${missing.join(', ')}: there is no socket and no spec file`;
      findings.push(fail(sentence, keeper(facts).restart));
    }
    const files = `${facts.sockets.length} sockets and ${facts.specs.length} spec files, all alive`;
    return orOk(findings, managed?.enabled === true ? `the managed plugin ${managed.name}; ${files}` : files);
  },
};

/** Somebody else's managed plugins with a name of ours. */
function strangers({ engine }: Facts, ours: readonly string[]): Finding[] {
  return engine.managedPlugins
    .filter(({ name, isBerth }) => !isBerth && ours.includes(plainName(name)))
    .map(({ name, enabled }) =>
      fail(
        `the managed plugin ${name}, ${enabled ? 'enabled' : 'disabled'}, takes a name of Berth, and Docker looks there first`,
        `docker plugin rm --force ${name}`,
      ),
    );
}

/** Ours, which is not enabled: Docker does not look for the name anywhere else (moby `plugin/store.go`, `errDisabled`). */
function idlePlugin(facts: Facts): Finding[] {
  const managed = managedBerth(facts);
  if (managed === undefined || managed.enabled) return [];
  const { name } = managed;
  return [
    fail(
      `Berth's managed plugin ${name} is disabled, and Docker looks nowhere else for that name`,
      serviceIsOn(facts) ? `docker plugin rm ${name}` : `docker plugin enable ${name}`,
    ),
  ];
}

function staleSockets({ sockets }: Facts): Finding[] {
  return sockets
    .filter(({ listening }) => !listening)
    .map(({ path }) => fail(`nothing listens on ${path}, and Docker waits 15 s for it each time`, `rm ${path}`));
}

/** Of a name that has both, Docker only ever uses the socket; the file is a trap for whoever removes the socket. */
function shadowedSpecs({ sockets, specs }: Facts, ours: readonly string[]): Finding[] {
  return specs
    .filter(({ name }) => ours.includes(name))
    .flatMap(({ name, path, url }) => {
      const socket = sockets.find((candidate) => candidate.name === name);
      if (socket === undefined || url === `unix://${socket.path}`) return [];
      return [warn(`${path} (${url}) is shadowed by ${socket.path}`, `rm ${path}`)];
    });
}
