/**
 * Which containers there are, as the engine last listed them: to know who is about to start. A plugin call does not say whose
 * endpoint it makes, and must not ask; but a container is made before it is started, and the engine tells of that.
 */

import type { ListedContainer } from '../../docker/engine.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Identity } from './identity.ts';

/** By what a container is known again when it is made anew. */
export function identityOf(container: ListedContainer): Identity {
  const { project, service, number } = container.compose ?? {};
  if (project !== undefined && service !== undefined)
    return { kind: 'compose', project, service, number: number ?? '1' };
  return { kind: 'container', name: container.name };
}

/** Whether a container is plugged into a network, or will be when it starts. */
export function isOn(container: ListedContainer, network: NetworkId, name: string | undefined): boolean {
  // The engine keys them by what the user wrote: a name or an id. Before the first start it may not have looked up the id.
  return container.networks.some(
    (on) => on.id === network || on.key === network || (on.id === undefined && on.key === name),
  );
}

/**
 * The containers that an endpoint about to be made may belong to.
 *
 * @param plugged ids of the containers that have an endpoint on the network already.
 * @param unplugged ids of those that had one: the engine's list may be a moment behind and say that they still run.
 */
export function candidates(
  containers: readonly ListedContainer[],
  network: NetworkId,
  name: string | undefined,
  plugged: ReadonlySet<string>,
  unplugged: ReadonlySet<string>,
): readonly ListedContainer[] {
  return containers.filter(
    (container) =>
      !plugged.has(container.id) &&
      (!container.running || unplugged.has(container.id)) &&
      isOn(container, network, name),
  );
}

/**
 * Who it is, where that can be told. Replicas of one service may take each other's place: the first that is free is taken.
 */
export function choose(waiting: readonly ListedContainer[]): ListedContainer | undefined {
  const [first, ...others] = waiting;
  if (first === undefined || others.length === 0) return first;
  const { project, service } = first.compose ?? {};
  if (project === undefined || service === undefined) return undefined;
  const replicas = others.every(({ compose }) => compose?.project === project && compose.service === service);
  const byNumber = (a: ListedContainer, b: ListedContainer) => Number(a.compose?.number) - Number(b.compose?.number);
  return replicas ? waiting.toSorted(byNumber)[0] : undefined;
}
