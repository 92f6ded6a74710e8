/** The command line's shape: every command, option and example. What a command does is loaded only when it is asked for. */

import { Argument, Command, Option } from 'commander';
import { version } from '../model/version.ts';
import { agentCommand } from './commands/agent.ts';
import { attachCommands } from './commands/attach.ts';
import { clusterCommands, masterOptions } from './commands/cluster.ts';
import { kuryrServerCommand } from './commands/kuryr-server.ts';
import { masterCommand } from './commands/master.ts';
import { netpluginCommand } from './commands/netplugin.ts';
import { reachCommands } from './commands/reach.ts';
import { reserveCommands } from './commands/reserve.ts';
import { resourceCommands } from './commands/resource.ts';
import { storeCommands } from './commands/store.ts';
import { type ExitCode, exitCode } from './failure.ts';
import { guide } from './help.ts';
import { type Binder, type GlobalOptions, openSession, type Surroundings } from './session.ts';
import { usageError } from './usage-error.ts';

export const defaultRunDir = '/run/berth';

/**
 * The whole command tree. Also what docs/cli.md is written from, and what completion walks.
 *
 * @param finish is given the exit code of the command that ran.
 */
export function buildProgram(surroundings: Surroundings, finish: (code: ExitCode) => void): Command {
  const program = new Command('berth')
    .description('Container networking for Docker hosts.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: (text) => surroundings.stderr.write(text),
      outputError: (text, write) => write(usageError(text)),
    })
    .exitOverride()
    .addOption(
      new Option('--run-dir <dir>', 'directory of the agent’s socket').env('BERTH_RUN_DIR').default(defaultRunDir),
    )
    .option('--json', 'print JSON, for programs; its shape is stable');
  masterOptions(program);
  guide(program, {
    examples: [
      ['berth status', 'is everything well?'],
      ['berth network ls', 'what there is'],
      ['berth doctor', 'what is wrong on this host, and how to mend it'],
      ['berth audit --repair', 'make the kernel what it should be'],
    ],
  });

  const on: Binder = (command, load) =>
    command.action(async (...given: unknown[]) => {
      const options = command.optsWithGlobals<GlobalOptions & Record<string, unknown>>();
      const session = await openSession(surroundings, { runDir: options.runDir, json: options.json === true });
      const work = await load();
      finish((await work(session, given.slice(0, -2) as (string | string[])[], options)) ?? exitCode.ok);
    });

  program.commandsGroup('Look:');
  guide(
    on(program.command('status'), async () => (await import('./status.ts')).status).description(
      'say how the agent is: engine, store, plugins, audit',
    ),
    {
      remark: 'Exit code 1 when the agent is not healthy.',
      examples: [['berth status'], ['berth status --json | jq .counts']],
    },
  );
  resourceCommands(program, on);
  guide(
    on(program.command('events'), async () => (await import('./events.ts')).events).description(
      'follow what happens, until Ctrl-C',
    ),
    { examples: [['berth events'], ['berth events --json | jq -r .event', 'one JSON object per line']] },
  );

  reachCommands(program, on);

  program.commandsGroup('The cluster:');
  clusterCommands(program, on);

  program.commandsGroup('Plug:');
  attachCommands(program, on);
  reserveCommands(program, on);

  program.commandsGroup('Mend:');
  guide(
    on(program.command('doctor'), async () => (await import('./doctor/doctor.ts')).doctor)
      .description('check this host, and say for each fault the one command that mends it')
      .addArgument(
        new Argument('[what]', 'look at OpenStack, as far as this host has to do with it').choices(['neutron']),
      )
      .addOption(dockerOption())
      .addOption(stateDirOption())
      .addOption(pluginDirOption())
      .addOption(specDirOption())
      .addOption(ovsDatabaseOption())
      .addOption(
        new Option(
          '--kuryr-conf <file>',
          'for neutron: where OpenStack is, and who we are there; without, what the agent was told or finds',
        ).env('BERTH_KURYR_CONF'),
      )
      .addOption(
        new Option('--host <name>', 'for neutron: what this host is called there; without, as the agent says').env(
          'BERTH_HOST',
        ),
      )
      .option('--all', 'print also what is well'),
    {
      remark: 'Works with and without a running agent. Exit code 1 when a check fails; warnings do not count.',
      examples: [
        ['sudo berth doctor'],
        ['sudo berth doctor --json'],
        ['sudo berth doctor neutron', 'Keystone, Neutron, its agent here, MTU, routers, quota, policy'],
      ],
    },
  );
  guide(
    on(program.command('audit'), async () => (await import('./audit.ts')).audit)
      .description('compare the kernel with what Berth declares')
      .option('--repair', 'make it so as well'),
    {
      remark: 'Exit code 1 when something differs and was not repaired.',
      examples: [
        ['berth audit', 'only look'],
        ['berth audit --repair', 'look and mend'],
      ],
    },
  );
  guide(
    on(program.command('gc'), async () => (await import('./gc.ts')).gc)
      .description('list what nothing needs any more; remove it only with --apply')
      .option('--apply', 'remove it'),
    {
      examples: [
        ['berth gc', 'what would go'],
        ['berth gc --apply', 'let it go'],
      ],
    },
  );

  storeCommands(program, on, stateDirOption);

  program.commandsGroup('Run:');
  agentCommand(program);
  masterCommand(program);
  netpluginCommand(program);
  kuryrServerCommand(program);

  program.commandsGroup('Other:');
  guide(
    on(program.command('completion'), async () => (await import('./completion/scripts.ts')).completion)
      .description('print a completion script for your shell')
      .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish'])),
    {
      examples: [
        ['source <(berth completion bash)', 'for this shell'],
        ['berth completion bash > /usr/share/bash-completion/completions/berth', 'for everyone'],
        ['berth completion zsh > /usr/local/share/zsh/site-functions/_berth'],
        ['berth completion fish > ~/.config/fish/completions/berth.fish'],
      ],
    },
  );
  guide(
    on(program.command('version'), async () => (await import('./status.ts')).printVersion).description(
      'print the version of this command and of the agent',
    ),
    { examples: [['berth version'], ['berth version --json']] },
  );
  on(program.command('__complete', { hidden: true }), async () => {
    const { complete } = await import('./completion/complete.ts');
    return (session, args) => complete(program, session, args[0] as readonly string[]);
  }).argument('[words...]');
  return program;
}

function dockerOption(): Option {
  return new Option('--docker <address>', 'address of the Docker engine')
    .env('BERTH_DOCKER')
    .default('unix:///run/docker.sock');
}

function pluginDirOption(): Option {
  return new Option('--plugin-dir <dir>', 'directory of the plugin sockets')
    .env('BERTH_PLUGIN_DIR')
    .default('/run/docker/plugins');
}

function specDirOption(): Option {
  return new Option('--spec-dir <dir>', 'directory of the plugin spec files')
    .env('BERTH_SPEC_DIR')
    .default('/usr/lib/docker/plugins');
}

function ovsDatabaseOption(): Option {
  return new Option('--ovs-database <address>', 'where the database of this host’s Open vSwitch listens')
    .env('BERTH_OVS_DATABASE')
    .default('unix:/run/openvswitch/db.sock');
}

function stateDirOption(): Option {
  return new Option('--state-dir <dir>', 'directory of the agent’s state')
    .env('BERTH_STATE_DIR')
    .default('/var/lib/berth');
}
