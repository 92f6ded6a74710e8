/** docs/api.md: the API of a cluster, from the table of its kinds. */

import type { Field } from '../../src/model/objects/field.ts';
import type { Kind } from '../../src/model/objects/kind.ts';
import { kinds, references } from '../../src/model/objects/kinds.ts';
import { generatedNote, markdownTable } from './markdown.ts';

function standard(field: Field): string {
  if (field.type === 'texts' || field.standard === undefined) return '';
  return `\`${field.standard}\``;
}

function section(kind: Kind): string {
  const rows = Object.entries(kind.fields).map(([name, field]) => {
    const reference = references.find(({ from, field: by }) => from === kind.name && by === name);
    const to = reference === undefined ? '' : ` Refers to a ${reference.to}.`;
    return [`\`${name}\``, field.values, standard(field), `${field.help}${to}`];
  });
  const key = kind.key.map((field) => `${field}`).join(':');
  const force = kind.notInForce === undefined ? '' : `\nNot in force yet: ${kind.notInForce}.\n`;
  return `
### ${kind.path}

${kind.summary} Key: \`${key}\`.
${force}
${markdownTable(['field', 'values', 'default', 'meaning'], rows)}`;
}

export function apiPage(): string {
  return `${generatedNote}
# The API of a cluster

\`berth master\` serves it, and \`netctl\` speaks it: Contiv's objects at Contiv's paths with Contiv's bodies. The same for programs is at
\`/api/v1/openapi.json\`.

| request | does |
|---|---|
| \`GET /api/v1/KIND/\` | lists them, in the order of their keys; \`?tenant=\`, \`?limit=\` and \`?after=KEY\` narrow that |
| \`GET /api/v1/KIND/KEY/\` | one of them |
| \`POST\` or \`PUT /api/v1/KIND/KEY/\` | makes it, or changes it; answers with it as it is now |
| \`DELETE /api/v1/KIND/KEY/\` | deletes it; answers with its key |
| \`GET /api/v1/inspect/KIND/KEY/\` | \`{"Config", "Oper"}\`: its configuration and its state |
| \`GET /api/v1/endpoints/\` | containers on networks |
| \`GET /api/v1/inspect/endpoints/TEXT/\` | the first whose id, container's id or name contains it |
| \`GET /api/v1/watch/\` | what there is, then each change as it comes, a JSON object per line; \`?kind=networks\`, \`?tenant=\`, \`?after=REVISION\` |
| \`GET /api/v1/status/\` | what is stored, and what of it is in force |
| \`GET /version\` | the version of the master |

## What is different from Contiv

- **Statuses.** 200 for what succeeds, as before. What is refused has a status of its own, no longer 500 for everything: 400 for what is
  wrong in itself or refers to what is not there, 404, 405, 409 for what is in the way of others, 412, 413, 401 and 403, 503 when the
  store is away. The text is Contiv's, without the stack that followed it. The header \`Berth-Error\` has a code of [errors](errors.md);
  with \`Accept: application/problem+json\` the body is JSON (RFC 9457).
- **One request, one transaction.** A request is done as a whole or not at all, whatever fails when, and whatever others do at the same time
  on any master. Fields that a kind does not have are refused: a misspelt one would be without effect.
- **Revisions.** Every answer with one object has an \`ETag\`. With \`If-Match\` a change is made only if the object still is what you have
  read (412 otherwise); \`If-None-Match: *\` only makes. Without them a request that loses a race is run again.
- **References.** Nothing can be deleted that something refers to, and nothing refers to what is not there. Rules that name a group keep it;
  in Contiv they stayed, and later matched everybody. A request that changes nothing makes no revision.
- **Tags.** A network takes the lowest VNI or VLAN that is free. \`vxlans\` may be any range within 1-16777215.
- **Tokens.** With \`--token-file\` every request needs \`Authorization: Bearer TOKEN\` (or \`X-Auth-Token\`, as behind Contiv's proxy).
- **Audit.** Every change is logged: who, from where, what, and the revisions before and after.

## Kinds
${[...kinds.values()].map(section).join('')}`;
}
