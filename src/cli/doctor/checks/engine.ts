import { type Check, fail, ok, warn } from '../check.ts';

/** Crashes when a driver returns a gateway (moby#51554), fixed in 29.0.3. */
const crashing = /^29\.0\.[0-2]\b/;
/** The oldest engine that the tests run on. */
const oldest = { major: 20, minor: 10 };

/** The Docker engine answers, and is none that is known to be bad. */
export const engine: Check = {
  name: 'engine',
  look({ engine: { version, error }, isRoot, unit }) {
    if (version === undefined) {
      const fix = !isRoot ? 'sudo berth doctor' : unit === undefined ? 'dockerd' : 'systemctl start docker';
      return [fail(error ?? 'the Docker engine does not answer', fix)];
    }
    if (crashing.test(version)) {
      return [
        warn(
          `Docker ${version} crashes when a network driver returns a gateway; Berth returns none there, so every container gets a second interface`,
          'apt-get install --only-upgrade docker-ce',
        ),
      ];
    }
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < oldest.major || (major === oldest.major && minor < oldest.minor)) {
      return [
        warn(
          `Docker ${version} is older than 20.10, the oldest that Berth is tested with`,
          'apt-get install docker.io',
        ),
      ];
    }
    return [ok(`Docker ${version} answers`)];
  },
};
