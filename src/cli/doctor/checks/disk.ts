import { type Check, fail, ok, warn } from '../check.ts';

const mebibyte = 1024 * 1024;

/** Without room for its journal Berth refuses whatever would change something. */
export const disk: Check = {
  name: 'disk',
  look({ disk: found, options: { stateDir } }) {
    if (found === undefined) return [];
    const room = `${Math.floor(found.freeBytes / mebibyte)} MiB`;
    if (!found.writable)
      return [
        fail(`the file system of ${stateDir} is read-only`, `mount -o remount,rw $(findmnt -no TARGET -T ${stateDir})`),
      ];
    const look = `du -xhd2 $(findmnt -no TARGET -T ${stateDir}) | sort -h | tail -20`;
    if (found.freeBytes < 16 * mebibyte) return [fail(`only ${room} are free for ${stateDir}`, look)];
    if (found.freeBytes < 256 * mebibyte) return [warn(`only ${room} are free for ${stateDir}`, look)];
    if (found.freeFiles !== undefined && found.freeFiles < 1000) {
      return [warn(`only ${found.freeFiles} more files fit beside ${stateDir}`, `df -i ${stateDir}`)];
    }
    return [ok(`${room} are free for ${stateDir}`)];
  },
};
