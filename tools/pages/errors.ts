/** docs/errors.md: the catalogue of errors. */

import { errorCatalogue } from '../../src/model/errors.ts';
import { generatedNote, markdownTable } from './markdown.ts';

export function errorsPage(): string {
  const rows = Object.entries(errorCatalogue).map(([code, { status, next }]) => [`\`${code}\``, String(status), next]);
  return `${generatedNote}
# Errors

Every error that Berth shows says what failed and why, and has a code from this list. Docker shows the sentence; the
\`berth\` command adds what to do next; the agent's API answers \`{"error": {"code", "message", "next"}}\` with the HTTP status.

${markdownTable(['code', 'HTTP status', 'what to do next'], rows)}`;
}
