import type { KernelObject, Netns, ObjectKey, ObjectKind } from './objects.ts';

/** One kernel interface (rtnetlink, nftables, sysctl …) as the tracker uses it. Synchronous: lives in the kernel worker thread. */
export interface ObjectDriver {
  readonly kinds: readonly ObjectKind[];

  /**
   * What it speaks to is another program, which may be away: what cannot be read then is reported as such, and everything
   * else is looked at all the same.
   */
  readonly mayBeAway?: boolean;

  /**
   * What exists now of these kinds in a namespace, for the wanted objects only (drivers may look up just those, or dump
   * all and filter). A wanted object that does not exist is absent from the map. The found object carries every field
   * that the wanted one declares, as found.
   */
  find(wanted: readonly KernelObject[], netns: Netns | undefined): Map<ObjectKey, KernelObject>;

  /**
   * Creates the object, or changes it to be as declared. Idempotent. When an existing link has another type or an
   * unchangeable attribute, it is replaced only if `replace` says that we own it.
   *
   * @throws BerthError
   */
  make(object: KernelObject): void;

  /**
   * Makes it not exist; what is not there is success. Adopted links are never deleted.
   *
   * @throws BerthError
   */
  unmake(object: KernelObject): void;

  /**
   * Optional: many at once, for a driver that makes them in fewer calls than one by one.
   *
   * @throws BerthError when one cannot be made; then none has been, and they are tried one by one.
   */
  makeAll?(objects: readonly KernelObject[]): void;

  /**
   * Optional: many at once, e.g. links in one group deletion (IFLA_GROUP + one RTM_DELLINK: 100 veths in 46 ms rather
   * than 1.7 s; single deletions 15 ms each).
   */
  unmakeAll?(objects: readonly KernelObject[]): void;

  close(): void;
}
