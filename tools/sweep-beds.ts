/** Removes what test beds have left behind whose process is gone: `node tools/sweep-beds.ts [NAME]`. */

import { sweep } from '../test/e2e/bed/ownership.ts';

for (const id of sweep(process.argv[2])) console.error(`Removed the remains of ${id}`);
