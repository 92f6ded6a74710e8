/** Makes the Docker engines of the test matrix that are not there yet: `node tools/engines.ts [20.10|26.1|28.5 …]`. */

import { type EngineVersion, engineVersions, ensureEngines } from '../test/e2e/bed/engines.ts';

const isVersion = (text: string): text is EngineVersion => (engineVersions as readonly string[]).includes(text);

const wanted = process.argv.slice(2);
const unknown = wanted.find((text) => !isVersion(text));
if (unknown !== undefined) {
  console.error(`Engine ${unknown}: choose from ${engineVersions.join(', ')}`);
  process.exitCode = 2;
} else {
  await ensureEngines(wanted.length > 0 ? wanted.filter(isVersion) : engineVersions);
}
