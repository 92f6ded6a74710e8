import { type Check, orOk, warn } from '../check.ts';

/** A network manager that does not know of the bridge works against it. */
export const uplinks: Check = {
  name: 'uplinks',
  look({ uplinks: found }) {
    if (found.length === 0) return [];
    const findings = found.flatMap(({ nic, managers }) =>
      managers.flatMap((manager) => {
        const { fights, then, fix } = manager;
        if (fights !== 'at once' && fights !== 'later') return [];
        return [
          warn(`${manager.found}, but Berth has made it a bridge port: ${then}`, fix ?? `berth uplink plan ${nic}`),
        ];
      }),
    );
    return orOk(findings, `nothing works against Berth on ${found.map(({ nic }) => nic).join(', ')}`);
  },
};
