import { useCallback, useEffect, useState } from 'react';
import { goTo } from './form';

/** For how many frames of the screen a field is looked for that a fault leads to: its tab may have to be loaded first. */
const longestWait = 120;

/** Returns how one is led to the input of a path, where open shows the tab on which it is. */
export function useLead(open: (path: string) => void): (path: string) => void {
  // An object, so that one is led to the same path again.
  const [target, setTarget] = useState<{ path: string }>();
  useEffect(() => {
    if (target === undefined) return undefined;
    let tries = 0;
    let frame = 0;
    const look = () => {
      tries += 1;
      if (!goTo(target.path) && tries <= longestWait) frame = requestAnimationFrame(look);
    };
    frame = requestAnimationFrame(look);
    return () => cancelAnimationFrame(frame);
  }, [target]);
  return useCallback(
    (path) => {
      open(path);
      setTarget({ path });
    },
    [open],
  );
}
