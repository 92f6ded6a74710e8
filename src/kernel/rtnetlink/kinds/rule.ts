/** Routing rules: found, made, unmade. */

import { constants } from 'node:os';
import { type Prefix, samePrefix } from '../../../model/prefix.ts';
import { type KernelObject, objectKey, type Rule, ruleIdentity } from '../../objects.ts';
import { Refusal } from '../errors.ts';
import { BERTH_PROTOCOL } from '../route.ts';
import { deleteRule, getRules, newRule, type RuleRecord, readRule } from '../rule.ts';
import { meansAbsent, type NetlinkSocket } from '../socket.ts';
import { groupBy, type Kind, withoutUndefined } from './kind.ts';

export const ruleKind: Kind<Rule> = {
  find(wanted, { socket }, found) {
    for (const [family, group] of groupBy(wanted, (rule) => rule.family)) {
      const ours = rulesOf(socket, family).filter((record) => record.protocol === BERTH_PROTOCOL);
      const byIdentity = groupBy(ours, identity);
      for (const rule of group) {
        const records = byIdentity.get(ruleIdentity(rule)) ?? [];
        const record = records.find((candidate) => same(rule, candidate)) ?? records[0];
        if (record !== undefined) found.set(objectKey(rule), foundRule(rule, record));
      }
    }
  },

  make(rule, { socket }) {
    const [outcome] = socket.request([newRule(rule)]);
    if (outcome!.errno !== 0 && outcome!.errno !== constants.errno.EEXIST) {
      throw new Refusal(outcome!.errno, outcome!.message);
    }
    // What of ours stood in its place before goes after the new one is in force.
    for (const record of ours(socket, rule)) if (!same(rule, record)) remove(socket, record);
  },

  unmake(rule, { socket }) {
    for (const record of ours(socket, rule)) remove(socket, record);
  },
};

function rulesOf(socket: NetlinkSocket, family: Rule['family']): RuleRecord[] {
  return socket.dump(getRules(family), (message) => {
    const record = readRule(message);
    return record?.family === family ? record : undefined;
  });
}

/** Others may have rules of the same priority: they are not ours to touch. */
function ours(socket: NetlinkSocket, rule: Rule): RuleRecord[] {
  return rulesOf(socket, rule.family).filter(
    (record) => record.protocol === BERTH_PROTOCOL && identity(record) === ruleIdentity(rule),
  );
}

function identity({ family, priority, inputLink, mark }: RuleRecord): string {
  return ruleIdentity({
    family,
    priority,
    ...(inputLink === undefined ? {} : { inputLink }),
    ...(mark === undefined ? {} : { mark }),
  });
}

function remove(socket: NetlinkSocket, record: RuleRecord): void {
  const { family, priority, table, from, to, inputLink, mark } = record;
  const rule: Rule = {
    kind: 'rule',
    family,
    priority,
    table,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(inputLink === undefined ? {} : { inputLink }),
    ...(mark === undefined ? {} : { mark }),
  };
  const [outcome] = socket.request([deleteRule(rule)]);
  if (outcome!.errno !== 0 && !meansAbsent(outcome!.errno)) throw new Refusal(outcome!.errno, outcome!.message);
}

function same(rule: Rule, record: RuleRecord): boolean {
  return (
    rule.table === record.table &&
    rule.inputLink === record.inputLink &&
    rule.mark === record.mark &&
    sameSelector(rule.from, record.from) &&
    sameSelector(rule.to, record.to)
  );
}

/** A prefix of length 0 selects everything, and the kernel does not keep it. */
function sameSelector(wanted: Prefix | undefined, found: Prefix | undefined): boolean {
  if (wanted === undefined || wanted.length === 0) return found === undefined;
  return found !== undefined && samePrefix(wanted, found);
}

function foundRule(wanted: Rule, record: RuleRecord): KernelObject {
  const { family, priority, table, inputLink, mark } = record;
  const selector = (declared: Prefix | undefined, found: Prefix | undefined) =>
    sameSelector(declared, found) ? declared : found;
  return withoutUndefined({
    kind: 'rule',
    netns: wanted.netns,
    family,
    priority,
    table,
    inputLink,
    mark,
    from: selector(wanted.from, record.from),
    to: selector(wanted.to, record.to),
  }) as unknown as KernelObject;
}
