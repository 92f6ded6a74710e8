import { type Check, type Finding, fail, orOk, warn } from '../check.ts';
import { managedBerth, serviceIsOn } from '../keeper.ts';

/** Docker starts containers while it starts itself, and each needs its plugin then. */
export const systemd: Check = {
  name: 'systemd',
  look(facts) {
    const { unit } = facts;
    if (unit === undefined) return [];
    const managed = managedBerth(facts);
    // Docker starts it: whether it does, the plugin files show.
    if (managed !== undefined && !serviceIsOn(facts)) return [];
    if (managed?.enabled === true) {
      const sentence = `the service berth and the managed plugin ${managed.name} keep the same state, so only one of them can run`;
      return [fail(sentence, 'systemctl disable --now berth')];
    }
    if (unit.loadState === 'not-found') {
      return [
        warn(
          'Berth is not a systemd service, so it does not start with this host',
          'make install && systemctl enable berth',
        ),
      ];
    }
    if (unit.loadState === 'masked') return [fail('the service berth is masked', 'systemctl unmask berth')];
    const findings: Finding[] = [];
    if (!unit.before.includes('docker.service')) {
      findings.push(
        warn(
          'the service berth is not ordered before docker.service, so containers may start before their network',
          'make install && systemctl daemon-reload',
        ),
      );
    }
    if (unit.fileState !== 'enabled')
      findings.push(warn('the service berth does not start with this host', 'systemctl enable berth'));
    if (unit.activeState === 'failed') findings.push(fail('the service berth has failed', 'journalctl -u berth -n 50'));
    return orOk(findings, 'the service starts with this host, before Docker');
  },
};
