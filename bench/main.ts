/**
 * The benchmarks: `make bench`, or
 *
 *   node bench/main.ts [--runs N] [--containers N] [--networks N] [--engine 20.10|26.1|28.5] [--json] [--list] [NAME …]
 *
 * Needs root. Tables go to standard output (with --json as one JSON document), progress to standard error. A missed budget
 * is a result, not a failure: the exit code is 1 only when a benchmark could not be run.
 */

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type EngineVersion, engineVersions } from '../test/e2e/bed/engines.ts';
import { across } from './across.ts';
import type { Benchmark, Context } from './benchmark.ts';
import { calls } from './calls.ts';
import { clusterRun } from './cluster-run.ts';
import { commands } from './commands.ts';
import { dockerRun } from './docker-run.ts';
import { hosts } from './hosts.ts';
import { describeMachine, machineText } from './machine.ts';
import { modesBenchmark } from './modes.ts';
import { networks } from './networks.ts';
import { neutron } from './neutron.ts';
import { otherKernel } from './other-kernel.ts';
import { render } from './print.ts';
import { reachable } from './reachable.ts';
import { judge } from './result.ts';
import { scale } from './scale.ts';
import { store } from './store.ts';
import { throughput } from './throughput.ts';

const benchmarks: readonly Benchmark[] = [
  dockerRun,
  clusterRun,
  modesBenchmark,
  calls,
  scale,
  store,
  hosts,
  throughput,
  across,
  reachable,
  networks,
  neutron,
  otherKernel,
  commands,
];

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string' },
      containers: { type: 'string' },
      networks: { type: 'string' },
      engine: { type: 'string', default: '20.10' },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'runs' | 'containers' | 'networks'): number | undefined => {
    const count = values[name] === undefined ? undefined : Number(values[name]);
    if (count !== undefined && !(Number.isInteger(count) && count > 0))
      throw new Error(`--${name} ${values[name]} is not a number of ${name}`);
    return count;
  };
  if (!engineVersions.includes(values.engine as EngineVersion))
    throw new Error(`--engine is one of ${engineVersions.join(', ')}`);
  const unknown = positionals.find((name) => !benchmarks.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined)
    throw new Error(`there is no benchmark ${unknown}; there are ${benchmarks.map(({ name }) => name).join(', ')}`);
  const chosen = benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const sizes = { runs: number('runs'), containers: number('containers'), networks: number('networks') };
  return { ...values, ...sizes, engine: values.engine as EngineVersion, chosen };
}

async function main(): Promise<void> {
  const { chosen, runs, containers, networks: many, engine, json, list } = options();
  if (list) {
    for (const { name, about } of benchmarks) console.log(`${name.padEnd(12)} ${about}`);
    return;
  }
  if (process.getuid?.() !== 0)
    throw new Error('the benchmarks make network namespaces and start engines: run them as root');
  const results: unknown[] = [];
  for (const benchmark of chosen) {
    const began = performance.now();
    const machine = await describeMachine();
    const context: Context = {
      engine,
      runs,
      ...(containers === undefined ? {} : { containers }),
      ...(many === undefined ? {} : { networks: many }),
      say: (text) => process.stderr.write(`${benchmark.name}: ${text}\n`),
    };
    context.say(benchmark.about);
    try {
      const table = await benchmark.run(context);
      const seconds = Math.round((performance.now() - began) / 1000);
      if (json) results.push({ benchmark: benchmark.name, engine, machine, seconds, ...table, rows: judge(table) });
      else
        console.log(
          `${render({ ...table, notes: [`${machineText(machine)}; took ${seconds} s, load then ${loadavg()[0]!.toFixed(1)}`, ...table.notes] })}`,
        );
    } catch (error) {
      process.exitCode = 1;
      console.error(`${benchmark.name} failed:`, error);
    }
  }
  if (json) console.log(JSON.stringify({ date: new Date().toISOString(), results }, undefined, 1));
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 2;
}
