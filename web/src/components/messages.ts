import { createContext, useContext } from 'react';

export interface Say {
  /** Something was done. */
  done: (title: string) => void;
  /** Something was refused or failed, and no field is there to say so; thrown is what was thrown. */
  failed: (title: string, thrown: unknown) => void;
  /** Something was done that can be undone. */
  undoable: (title: string, undo: () => void) => void;
}

export const MessagesContext = createContext<Say>({
  done: () => undefined,
  failed: () => undefined,
  undoable: () => undefined,
});

/** Short messages in the corner of the console, read out by screen readers. */
export const useMessages = (): Say => useContext(MessagesContext);
