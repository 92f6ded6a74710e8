import { type Check, type Finding, fail, orOk, warn } from '../check.ts';
import { type Facts, pluginNames } from '../facts.ts';

/**
 * How Docker finds plugins: managed ones first, then sockets in the plugin directory, then spec files (moby `pkg/plugins`).
 * What comes first wins, alive or not; a dead one costs every operation that meets it 15 s.
 */
export const pluginFiles: Check = {
  name: 'plugin files',
  look(facts) {
    const ours = pluginNames(facts);
    const running = 'status' in facts.agent;
    const findings: Finding[] = [
      ...staleSockets(facts),
      ...facts.engine.managedPlugins
        .filter(({ name }) => ours.includes(name.replace(/:latest$/, '')))
        .map(({ name, enabled }) =>
          fail(
            `the managed plugin ${name}, ${enabled ? 'enabled' : 'disabled'}, takes a name of Berth, and Docker looks there first`,
            `docker plugin rm --force ${name}`,
          ),
        ),
      ...shadowedSpecs(facts, ours),
    ];
    const missing = ours.filter((name) => ![...facts.sockets, ...facts.specs].some((file) => file.name === name));
    if (running && missing.length > 0) {
      findings.push(
        fail(
          `Docker cannot find ${missing.join(', ')}: there is no socket and no spec file`,
          'systemctl restart berth',
        ),
      );
    }
    return orOk(findings, `${facts.sockets.length} sockets and ${facts.specs.length} spec files, all alive`);
  },
};

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
