/**
 * The scope that each plugin is served in. An engine asks for it once, when it first uses the plugin, and keeps to the answer: so it is
 * settled before the agent serves.
 */

import type { Engine } from '../docker/engine.ts';
import type { Notes } from '../fabric/fabric.ts';
import type { GivenPlugin, PluginConfig } from './config.ts';
import { within } from './within.ts';

const NOTE = 'engine-scope';
/** An engine that is just starting activates plugins before it answers. Milliseconds. */
const PATIENCE = 2000;

/** @returns `auto` as the engine shares its networks now, or, where it does not answer, did when it was seen last. */
export async function settleScopes(
  plugins: readonly GivenPlugin[],
  engine: Pick<Engine, 'info'>,
  notes: Pick<Notes, 'get' | 'put'>,
): Promise<readonly PluginConfig[]> {
  if (plugins.every(({ scope }) => scope !== 'auto')) return plugins as readonly PluginConfig[];
  const info = await within(PATIENCE, engine.info()).catch(() => undefined);
  const known = await notes.get(NOTE);
  const auto = (info === undefined ? known === 'global' : info.clusterStore) ? 'global' : 'local';
  if (info !== undefined && known !== auto) await notes.put(NOTE, auto);
  return plugins.map((plugin) => ({ ...plugin, scope: plugin.scope === 'auto' ? auto : plugin.scope }));
}
