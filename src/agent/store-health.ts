/** Whether the store takes what it is given, as the last write showed. */

import { asBerthError } from '../model/errors.ts';
import type { Store } from '../store/store.ts';

/** The same store, and why its last write failed, if it did. */
export function watchStore(store: Store): { readonly store: Store; failure(): string | undefined } {
  let failure: string | undefined;
  const transact: Store['transact'] = async (...given) => {
    try {
      const result = await store.transact(...given);
      failure = undefined;
      return result;
    } catch (error) {
      failure = asBerthError(error).message;
      throw error;
    }
  };
  return { store: Object.create(store, { transact: { value: transact } }) as Store, failure: () => failure };
}
