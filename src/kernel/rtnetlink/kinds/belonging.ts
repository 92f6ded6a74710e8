/** What hangs on a link, put onto another one or taken off: never declared, so never found. */

import { constants } from 'node:os';
import type { Belonging } from '../../objects.ts';
import { putBelonging, takeBelonging } from '../belongings.ts';
import { Refusal } from '../errors.ts';
import { meansAbsent } from '../socket.ts';
import type { Kind } from './kind.ts';

export const belongingKind: Kind<Belonging> = {
  find() {},

  make(belonging, { socket, links }) {
    const request = putBelonging(belonging, links.indexOf(belonging.link));
    if (request === undefined) return;
    const [outcome] = socket.request([request]);
    if (outcome!.errno !== 0 && outcome!.errno !== constants.errno.EEXIST) {
      throw new Refusal(outcome!.errno, outcome!.message);
    }
  },

  unmake(belonging, { socket, links }) {
    const link = links.byName(belonging.link)?.index;
    if (link === undefined && belonging.what !== 'rule') return;
    const [outcome] = socket.request([takeBelonging(belonging, link ?? 0)]);
    const errno = outcome!.errno;
    if (errno === 0 || errno === constants.errno.EADDRNOTAVAIL || meansAbsent(errno)) return;
    throw new Refusal(errno, outcome!.message);
  },
};
