/** A file holds one idea; one of more than 450 lines rarely does. */

import { globSync, readFileSync } from 'node:fs';

const limit = 450;

const tooLong = globSync(['src/**/*.ts', 'tools/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', '*.ts'])
  .map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
  .filter(({ lines }) => lines > limit);
for (const { file, lines } of tooLong) console.error(`${file} has ${lines} lines; split it, the limit is ${limit}`);
process.exitCode = tooLong.length === 0 ? 0 : 1;
