/**
 * The packet filter's part in answering what a container asks its engine's resolver: a table with which what goes to 127.0.0.11
 * port 53 in the container's namespace comes to our sockets there.
 *
 * The table is ours by NFT_TABLE_F_OWNER (Linux 5.12): the kernel removes it when the socket that made it is closed, which it also
 * does itself when we die. So nobody is ever asked who does not answer; what comes then goes to the engine's resolver, as if there
 * had never been another. Datagrams are rewritten one by one and not tracked: a translation that conntrack remembers would outlive
 * the table for as long as a client (nginx, HAProxy) goes on asking from the same port. A stream ends with us anyway, so
 * there the usual translation will do, which leaves streams alone that are open already.
 *
 * Sources: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h; moby `libnetwork/resolver_unix.go` for the engine's own rules.
 */

import { Writer } from '../rtnetlink/attributes.ts';
import { AF_INET, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST } from '../rtnetlink/constants.ts';
import { type Request, request, writeMessage } from '../rtnetlink/message.ts';

/** As the engine's resolver is known in every container (moby `libnetwork/sandbox_dns_unix.go`). */
export const RESOLVER = [127, 0, 0, 11] as const;
export const DNS_PORT = 53;
/** Of packets that are for the engine's resolver itself: what we cannot answer is handed on to it. */
export const MARK = 0x62657274;
export const TABLE = 'berth-names';

const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_NEWRULE = 6;

const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_FLAGS = 2;
const NFT_TABLE_F_OWNER = 2;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NF_INET_LOCAL_OUT = 3;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;

/** NF_IP_PRI_RAW, before conntrack; and just before NF_IP_PRI_NAT_DST, where the engine's own rule is. */
const PRIORITY_RAW = -300;
const PRIORITY_BEFORE_NAT = -110;

const NFT_REG_1 = 1;
const NFT_REG_2 = 2;
const NFT_CMP_EQ = 0;
const NFT_CMP_NEQ = 1;
const NFT_META_MARK = 3;
const NFT_META_L4PROTO = 16;
const NFT_PAYLOAD_NETWORK_HEADER = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER = 2;
const NFT_PAYLOAD_CSUM_INET = 1;
const NFT_NAT_DNAT = 1;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
/** Where fields stand in their headers (RFC 791, 768, 9293). */
const SOURCE_ADDRESS = 12;
const DESTINATION_ADDRESS = 16;
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const UDP_CHECKSUM = 6;

type Expression = (writer: Writer) => void;

/**
 * What makes the table, to be sent as one batch: all of it, or nothing.
 *
 * @param ports of our sockets at the resolver's address.
 * @returns the bytes, and the number of the message that the kernel acknowledges last.
 */
export function tableBatch(ports: { readonly datagrams: number; readonly streams: number }): {
  readonly bytes: Uint8Array;
  readonly last: number;
} {
  const unmarked = [load('meta', NFT_META_MARK), compare(NFT_CMP_NEQ, hostWord(MARK))];
  const requests = [
    batchMark(NFNL_MSG_BATCH_BEGIN),
    message(NFT_MSG_NEWTABLE, NLM_F_CREATE, (writer) =>
      word(writer.attributeString(NFTA_TABLE_NAME, TABLE), NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER),
    ),
    chain('datagrams', 'filter', PRIORITY_RAW),
    rule('datagrams', [
      ...unmarked,
      ...protocol(IPPROTO_UDP),
      ...address(DESTINATION_ADDRESS),
      ...port(DESTINATION_PORT, DNS_PORT),
      untracked,
      ...rewrite(DESTINATION_PORT, ports.datagrams),
    ]),
    rule('datagrams', [
      ...protocol(IPPROTO_UDP),
      ...address(SOURCE_ADDRESS),
      ...port(SOURCE_PORT, ports.datagrams),
      untracked,
      ...rewrite(SOURCE_PORT, DNS_PORT),
    ]),
    chain('streams', 'nat', PRIORITY_BEFORE_NAT),
    rule('streams', [
      ...unmarked,
      ...protocol(IPPROTO_TCP),
      ...address(DESTINATION_ADDRESS),
      ...port(DESTINATION_PORT, DNS_PORT),
      immediate(NFT_REG_1, Uint8Array.from(RESOLVER)),
      immediate(NFT_REG_2, networkWord(ports.streams)),
      translate,
    ]),
    batchMark(NFNL_MSG_BATCH_END),
  ];
  const writer = new Writer(2048);
  const last = requests.length - 2;
  for (const [number, one] of requests.entries()) {
    writeMessage(writer, one, number === last ? NLM_F_REQUEST | NLM_F_ACK : NLM_F_REQUEST, number);
  }
  return { bytes: writer.bytes, last };
}

/** `struct nfgenmsg`: family, version, and a number in network byte order. */
function batchMark(type: number): Request {
  return request(type, 0, (writer) => writer.u8(0).u8(0).u8(0).u8(NFNL_SUBSYS_NFTABLES));
}

function message(type: number, flags: number, content: (writer: Writer) => void): Request {
  return request((NFNL_SUBSYS_NFTABLES << 8) | type, flags, (writer) => {
    writer.u8(AF_INET).u8(0).u8(0).u8(0);
    content(writer);
  });
}

function chain(name: string, type: 'filter' | 'nat', priority: number): Request {
  return message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, (writer) => {
    writer.attributeString(NFTA_CHAIN_TABLE, TABLE).attributeString(NFTA_CHAIN_NAME, name);
    writer.nested(NFTA_CHAIN_HOOK, (hook) => {
      word(hook, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
      word(hook, NFTA_HOOK_PRIORITY, priority);
    });
    writer.attributeString(NFTA_CHAIN_TYPE, type);
  });
}

function rule(inChain: string, expressions: readonly Expression[]): Request {
  return message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, (writer) => {
    writer.attributeString(NFTA_RULE_TABLE, TABLE).attributeString(NFTA_RULE_CHAIN, inChain);
    writer.nested(NFTA_RULE_EXPRESSIONS, (list) => {
      for (const expression of expressions) list.nested(NFTA_LIST_ELEM, expression);
    });
  });
}

/** An expression by its name, with what it is told (NFTA_EXPR_DATA). */
function expression(name: string, data: (writer: Writer) => void): Expression {
  return (writer) => {
    writer.attributeString(NFTA_EXPR_NAME, name);
    writer.nested(NFTA_EXPR_DATA, data);
  };
}

function load(name: 'meta', key: number): Expression {
  return expression(name, (data) =>
    numbers(data, [
      [1, NFT_REG_1],
      [2, key],
    ]),
  );
}

function compare(operator: number, value: Uint8Array): Expression {
  return expression('cmp', (data) => {
    numbers(data, [
      [1, NFT_REG_1],
      [2, operator],
    ]);
    data.nested(3, (value_) => void value_.attribute(NFTA_DATA_VALUE, value));
  });
}

const protocol = (number: number): Expression[] => [
  load('meta', NFT_META_L4PROTO),
  compare(NFT_CMP_EQ, Uint8Array.of(number)),
];

const field = (base: number, offset: number, length: number): Expression =>
  expression('payload', (data) =>
    numbers(data, [
      [1, NFT_REG_1],
      [2, base],
      [3, offset],
      [4, length],
    ]),
  );

const address = (offset: number): Expression[] => [
  field(NFT_PAYLOAD_NETWORK_HEADER, offset, 4),
  compare(NFT_CMP_EQ, Uint8Array.from(RESOLVER)),
];

const port = (offset: number, number: number): Expression[] => [
  field(NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2),
  compare(NFT_CMP_EQ, networkWord(number)),
];

function immediate(register: number, value: Uint8Array): Expression {
  return expression('immediate', (data) => {
    word(data, 1, register);
    data.nested(2, (value_) => void value_.attribute(NFTA_DATA_VALUE, value));
  });
}

const rewrite = (offset: number, number: number): Expression[] => [
  immediate(NFT_REG_1, networkWord(number)),
  expression('payload', (data) =>
    numbers(data, [
      [5, NFT_REG_1],
      [2, NFT_PAYLOAD_TRANSPORT_HEADER],
      [3, offset],
      [4, 2],
      [6, NFT_PAYLOAD_CSUM_INET],
      [7, UDP_CHECKSUM],
    ]),
  ),
];

const untracked: Expression = (writer) => void writer.attributeString(NFTA_EXPR_NAME, 'notrack');

const translate: Expression = expression('nat', (data) =>
  numbers(data, [
    [1, NFT_NAT_DNAT],
    [2, AF_INET],
    [3, NFT_REG_1],
    [5, NFT_REG_2],
  ]),
);

function numbers(writer: Writer, attributes: readonly (readonly [number, number])[]): void {
  for (const [type, value] of attributes) word(writer, type, value);
}

/** nf_tables has its numbers in network byte order, unlike rtnetlink. */
function word(writer: Writer, type: number, value: number): void {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setInt32(0, value, false);
  writer.attribute(type, new Uint8Array(bytes.buffer));
}

const networkWord = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
const hostWord = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
