/** libnftables, called in process: a spawned `nft` costs 15 ms, a call 0.1 ms. */

import koffi from 'koffi';
import { BerthError } from '../../model/errors.ts';

/** One connection to the packet filter of the namespace in which it was opened; it stays there. Synchronous. */
export interface Nftables {
  /**
   * Runs commands in nft's own language as one transaction: all of them take effect, or none.
   *
   * @throws NftablesError
   */
  run(commands: string): void;
  /**
   * Runs a `list` command.
   *
   * @param options.terse leaves out the elements of sets.
   * @returns the objects of nft's JSON (libnftables-json(5)), without the leading metainfo.
   * @throws NftablesError
   */
  list(command: string, options?: { readonly terse?: boolean }): readonly NftObject[];
  /**
   * Runs a `get` command, which answers in nft's own language only.
   *
   * @throws NftablesError
   */
  get(command: string): string;
  close(): void;
}

/** `{ "chain": { … } }`, `{ "rule": { … } }` and so on. */
export type NftObject = Readonly<Record<string, unknown>>;

/** What libnftables said, on one line. */
export class NftablesError extends Error {
  /** The table, set or element that was named does not exist. */
  readonly missing: boolean;
  /** It exists already, with another value or as another kind of thing. */
  readonly exists: boolean;

  constructor(said: string) {
    super(sentence(said));
    this.name = 'NftablesError';
    // libnftables has no codes: these are strerror(3) in the C locale, and its own words for interval sets (segtree.c).
    this.missing = /No such file or directory|element does not exist/.test(said);
    this.exists = /File exists/.test(said);
  }
}

/** The first complaint of the buffer, without the caret drawing that follows each. */
function sentence(said: string): string {
  const lines = said.split('\n').filter((line) => line.trim() !== '' && !/^\s*[\^~]+/.test(line));
  const first = (lines[0] ?? 'no reason given').replace(/^.*?Error:\s*/, '');
  return first.replace(/^Could not process rule:\s*/, '');
}

// nftables/libnftables.h
const outputJson = 1 << 4;
const outputTerse = 1 << 11;

const RTLD_NOW = 2;
const RTLD_NODELETE = 0x1000;

interface Functions {
  ctxNew(flags: number): unknown;
  ctxFree(context: unknown): void;
  bufferOutput(context: unknown): number;
  bufferError(context: unknown): number;
  output(context: unknown): string;
  error(context: unknown): string;
  setFlags(context: unknown, flags: number): void;
  run(context: unknown, commands: string): number;
}

let loaded: Functions | undefined;

function load(): Functions {
  if (loaded !== undefined) return loaded;
  const name = 'libnftables.so.1';
  try {
    // It must never be unloaded: its buffers are streams (fopencookie(3)) that the C library flushes at exit through
    // functions of this library, and koffi unloads what it loaded when its thread ends.
    koffi.load(null).func('void *dlopen(const char *, int)')(name, RTLD_NOW | RTLD_NODELETE);
    const library = koffi.load(name);
    loaded = {
      ctxNew: library.func('void *nft_ctx_new(uint32_t)'),
      ctxFree: library.func('void nft_ctx_free(void *)'),
      bufferOutput: library.func('int nft_ctx_buffer_output(void *)'),
      bufferError: library.func('int nft_ctx_buffer_error(void *)'),
      output: library.func('const char *nft_ctx_get_output_buffer(void *)'),
      error: library.func('const char *nft_ctx_get_error_buffer(void *)'),
      setFlags: library.func('void nft_ctx_output_set_flags(void *, unsigned int)'),
      run: library.func('int nft_run_cmd_from_buffer(void *, const char *)'),
    };
    return loaded;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BerthError('KERNEL_LACKS', `cannot load ${name} (Debian package libnftables1): ${why}`, { cause });
  }
}

/**
 * Opens a connection in the namespace that the calling thread is in.
 *
 * @throws BerthError KERNEL_LACKS without libnftables.
 */
export function openNftables(): Nftables {
  const nft = load();
  const context = nft.ctxNew(0);
  if (context === null) throw new BerthError('KERNEL_LACKS', 'cannot open nftables: nft_ctx_new failed');
  nft.bufferOutput(context);
  nft.bufferError(context);
  let open = true;

  function execute(commands: string, flags: number): string {
    nft.setFlags(context, flags);
    const failed = nft.run(context, commands) !== 0;
    // Both are read each time: reading is what empties them.
    const output = nft.output(context);
    const error = nft.error(context);
    if (failed) throw new NftablesError(error);
    return output;
  }

  return {
    run(commands) {
      execute(commands, 0);
    },
    list(command, options) {
      const output = execute(command, options?.terse === true ? outputJson | outputTerse : outputJson);
      if (output === '') return [];
      const { nftables } = JSON.parse(output) as { nftables: NftObject[] };
      return nftables.filter((object) => !('metainfo' in object));
    },
    get(command) {
      return execute(command, 0);
    },
    close() {
      if (open) nft.ctxFree(context);
      open = false;
    },
  };
}
