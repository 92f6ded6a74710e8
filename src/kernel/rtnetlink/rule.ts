/** Policy routing rules: RTM_NEWRULE and its relatives (`struct fib_rule_hdr`, linux/fib_rules.h). */

import { addressBytes, addressFromBytes, type Family } from '../../model/address.ts';
import type { Prefix } from '../../model/prefix.ts';
import type { Rule } from '../objects.ts';
import { type Attributes, getString, getU8, getU32, readAttributes } from './attributes.ts';
import {
  AF_INET,
  AF_INET6,
  FR_ACT_TO_TBL,
  FRA_DST,
  FRA_FWMARK,
  FRA_IIFNAME,
  FRA_PRIORITY,
  FRA_PROTOCOL,
  FRA_SRC,
  FRA_TABLE,
  NLM_F_CREATE,
  NLM_F_EXCL,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from './constants.ts';
import { type Request, request } from './message.ts';
import { BERTH_PROTOCOL } from './route.ts';

export interface RuleRecord {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  readonly from: Prefix | undefined;
  readonly to: Prefix | undefined;
  readonly inputLink: string | undefined;
  readonly mark: number | undefined;
  /** Who made it; ours have BERTH_PROTOCOL. */
  readonly protocol: number;
}

/** Several rules may share a priority; ours are told by their protocol. */
export function newRule(rule: Rule): Request {
  return ruleRequest(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

/** Deletes a rule that is exactly so, if Berth made it. */
export function deleteRule(rule: Rule): Request {
  return ruleRequest(RTM_DELRULE, 0, rule);
}

function ruleRequest(type: number, flags: number, rule: Rule): Request {
  return request(type, flags, (writer) => {
    writer
      .u8(rule.family === 4 ? AF_INET : AF_INET6)
      .u8(rule.to?.length ?? 0)
      .u8(rule.from?.length ?? 0)
      .u8(0)
      .u8(rule.table < 256 ? rule.table : 0)
      .u8(0)
      .u8(0)
      .u8(FR_ACT_TO_TBL)
      .u32(0);
    writer.attributeU32(FRA_PRIORITY, rule.priority);
    writer.attributeU32(FRA_TABLE, rule.table);
    writer.attributeU8(FRA_PROTOCOL, BERTH_PROTOCOL);
    if (rule.from !== undefined && rule.from.length > 0) writer.attribute(FRA_SRC, addressBytes(rule.from.address));
    if (rule.to !== undefined && rule.to.length > 0) writer.attribute(FRA_DST, addressBytes(rule.to.address));
    if (rule.inputLink !== undefined) writer.attributeString(FRA_IIFNAME, rule.inputLink);
    if (rule.mark !== undefined) writer.attributeU32(FRA_FWMARK, rule.mark);
  });
}

/** To be dumped. */
export function getRules(family: Family): Request {
  return request(RTM_GETRULE, 0, (writer) => {
    writer.u8(family === 4 ? AF_INET : AF_INET6);
    writer.u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0);
  });
}

/** Decodes RTM_NEWRULE or RTM_DELRULE; undefined when it is of neither IP family. */
export function readRule({ body }: { readonly body: Uint8Array }): RuleRecord | undefined {
  if (body[0] !== AF_INET && body[0] !== AF_INET6) return undefined;
  const attributes = readAttributes(body.subarray(12));
  return {
    family: body[0] === AF_INET ? 4 : 6,
    priority: getU32(attributes, FRA_PRIORITY) ?? 0,
    table: getU32(attributes, FRA_TABLE) ?? body[4]!,
    from: prefix(attributes, FRA_SRC, body[2]!),
    to: prefix(attributes, FRA_DST, body[1]!),
    inputLink: getString(attributes, FRA_IIFNAME),
    mark: getU32(attributes, FRA_FWMARK),
    protocol: getU8(attributes, FRA_PROTOCOL) ?? 0,
  };
}

function prefix(attributes: Attributes, type: number, length: number): Prefix | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined ? undefined : { address: addressFromBytes(bytes), length };
}
