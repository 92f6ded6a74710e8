import { type Check, type Finding, fail, orOk } from '../check.ts';

/** DNS servers that do not take what they are told: then containers have addresses, but no names. */
export const dnsServers: Check = {
  name: 'names',
  look({ dnsServers }) {
    if (dnsServers.length === 0) return [];
    const findings = dnsServers.flatMap((one): Finding[] => {
      const { networks, server, zone, keyFile, keyProblem, problem } = one;
      const of = `of ${networks.length === 1 ? 'network' : 'networks'} ${networks.join(', ')}`;
      if (keyProblem !== undefined && keyFile !== undefined) {
        const mend = keyProblem.includes('chmod') ? `chmod 600 ${keyFile}` : `ls -l ${keyFile}`;
        return [fail(`the key file ${keyFile} ${of} ${keyProblem.replace(/: chmod.*/, '')}`, mend)];
      }
      if (problem === undefined) return [];
      return [fail(`containers ${of} cannot be registered in ${zone}: ${problem}`, `dig @${server} ${zone} SOA`)];
    });
    return orOk(findings, `${dnsServers.map(({ server }) => server).join(', ')} take updates`);
  },
};
