/**
 * Files that must not outlive the process: a socket that nobody serves costs Docker 15 s at every use of the name. This covers
 * `process.exit` and uncaught errors; after SIGKILL the next start replaces the file.
 */

const pending = new Set<() => void>();

/** Runs `action`, which must be synchronous, when the process exits. @returns a function that takes it back. */
export function onExit(action: () => void): () => void {
  if (pending.size === 0) process.on('exit', runAll);
  pending.add(action);
  return () => {
    pending.delete(action);
    if (pending.size === 0) process.off('exit', runAll);
  };
}

function runAll(): void {
  for (const action of pending) action();
}
