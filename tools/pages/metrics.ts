/** docs/metrics.md: what the agent counts. */

import { createMetrics } from '../../src/agent/metrics.ts';
import { generatedNote, markdownTable } from './markdown.ts';

interface Described {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly labelNames?: readonly string[];
}

export function metricsPage(): string {
  const counting = createMetrics();
  counting.gauges(() => ({ networks: 0, endpoints: 0, attachments: 0, pools: 0, leases: 0, objects: 0, journal: 0 }));
  counting.names(() => []);
  counting.neutron(() => ({ services: [], ports: 0, networks: 0, waiting: { count: 0 } }));
  // The list of names and types is public; the labels are only on the metric itself.
  const metrics = (counting.registry.getMetricsAsArray() as unknown as readonly Described[]).map((metric) => [
    metric.name,
    metric.type,
    (metric.labelNames ?? []).map((label) => `\`${label}\``).join(', '),
    metric.help,
  ]);
  const own = metrics.filter(([name]) => !/^berth_(process|nodejs)_/.test(name!));
  const rows = own.map(([name, ...rest]) => [`\`${name}\``, ...rest]) as string[][];
  return `${generatedNote}
# Metrics

For Prometheus, at \`/metrics\` on the agent's socket, and over TCP with \`metrics-address\`:

\`\`\`
curl --unix-socket /run/berth/berth.sock http://berth/metrics
\`\`\`

${markdownTable(['metric', 'type', 'labels', 'meaning'], rows)}
Beside these stand the usual ones of a Node process: \`berth_process_…\` and \`berth_nodejs_…\`.

\`/health\` answers 200 while the agent is well and 503 while it is not, with the problems as JSON.
`;
}
