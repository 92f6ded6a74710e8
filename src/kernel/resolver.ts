/** Standing in front of the engine's resolver in a container, as the layers above the kernel see it. */

/**
 * Descriptors of this process, in a container's network namespace. They are the caller's to close, soon after the container has
 * gone: each keeps the namespace alive.
 */
export interface ResolverSockets {
  /** UDP, not connected: gets what is sent to 127.0.0.11 port 53, and what it answers comes from there. */
  readonly datagrams: number;
  /** TCP, listening: the same for streams. */
  readonly streams: number;
  /** UDP: what it sends to 127.0.0.11 port 53 gets to the engine's own resolver. */
  readonly onward: number;
  /** When it is closed, by whom and why ever, all goes to the engine's resolver again. To be closed before the others. */
  readonly redirection: number;
}
