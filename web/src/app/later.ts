import { useEffect, useState } from 'react';

/** A value once it has not changed for a while, in milliseconds: for what is too dear at each key. */
export function useLater<T>(value: T, pause: number): T {
  const [later, setLater] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLater(value), pause);
    return () => clearTimeout(timer);
  }, [value, pause]);
  return later;
}
