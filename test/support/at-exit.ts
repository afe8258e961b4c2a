/** What must not outlive this process, however it ends but by SIGKILL: servers, mounts, folders. */
import type { ChildProcess } from "node:child_process";

const undos = new Set<() => void>();

/**
 * Undoes something when the process exits, the last first: what is mounted in a folder goes before it.
 *
 *     const remove = atExit(() => rmSync(folder, { recursive: true, force: true }));
 *
 * @param undo must be synchronous: nothing waits at an exit
 * @returns does it now, and not again
 */
export function atExit(undo: () => void): () => void {
  if (undos.size === 0) process.once("exit", undoAll);
  const own = () => undo();
  undos.add(own);
  return () => {
    if (undos.delete(own)) own();
    if (undos.size === 0) process.off("exit", undoAll);
  };
}

/** Kills it (SIGKILL), unless it has ended by then. */
export function killAtExit(child: ChildProcess): void {
  child.once(
    "exit",
    atExit(() => void child.kill("SIGKILL")),
  );
}

function undoAll(): void {
  for (const undo of [...undos].reverse()) {
    try {
      undo();
    } catch (error) {
      // The others must not be left for its sake.
      console.error(error);
    }
  }
}
