import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Command } from 'commander';
import { loadConfig } from '../../agent/config.ts';
import { agentCommand, variableOf } from './agent.ts';

afterEach(() => {
  delete process.env.BERTH_LOG_LEVEL;
});

/** What the agent is given for this command line. */
async function flagsOf(...words: string[]): Promise<Readonly<Record<string, string>>> {
  let given: Readonly<Record<string, string>> | undefined;
  const program = new Command('berth').option('--run-dir <dir>', '', '/run/berth').option('--json');
  agentCommand(program, async () => async (flags) => {
    given = flags;
  });
  await program.parseAsync(words, { from: 'user' });
  assert.ok(given !== undefined);
  return given;
}

describe('berth agent hands on', () => {
  it('nothing when nothing is said, so that the agent finds its own defaults', async () => {
    assert.deepEqual(await flagsOf('agent'), {});
  });

  it('what stands on the command line, before and after the command', async () => {
    assert.deepEqual(await flagsOf('--run-dir', '/a', 'agent', '--state-dir', '/b', '--config', '/c'), {
      'run-dir': '/a',
      'state-dir': '/b',
      config: '/c',
    });
    assert.deepEqual(await flagsOf('agent', '--run-dir', '/a'), { 'run-dir': '/a' });
  });

  it('not the environment, which counts less than a flag and more than the file', async () => {
    process.env.BERTH_LOG_LEVEL = 'debug';
    assert.deepEqual(await flagsOf('agent'), {});
    assert.deepEqual(await flagsOf('agent', '--log-level', 'warn'), { 'log-level': 'warn' });
    assert.equal(loadConfig({}, process.env).logLevel, 'debug');
  });
});

it('every flag that other programs rely on is there, and is what the agent reads', async () => {
  const flags: Record<string, string> = {
    'state-dir': '/1',
    'run-dir': '/2',
    'plugin-dir': '/3',
    'spec-dir': '/4',
    docker: 'unix:///5',
    store: 'sqlite',
    'log-level': 'error',
  };
  const words = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, value]);
  assert.deepEqual(await flagsOf('agent', ...words), flags);
  const config = loadConfig(flags, {});
  assert.deepEqual(
    [config.stateDir, config.runDir, config.pluginDir, config.specDir, config.docker],
    ['/1', '/2', '/3', '/4', 'unix:///5'],
  );
});

it('the variable of a key', () => {
  assert.equal(variableOf('tls-client-key'), 'BERTH_TLS_CLIENT_KEY');
});
