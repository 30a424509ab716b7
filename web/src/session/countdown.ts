import { useEffect, useState } from 'react';
import type { Problem } from '../api/problem';

/** How many seconds are left until what was refused may be tried again; 0: at once. */
export function useCountdown(problem: Problem | undefined): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const seconds = problem?.kind === 'rate-limited' ? (problem.document.retry_after ?? 1) : 0;
    setLeft(seconds);
    if (seconds === 0) return undefined;
    const end = Date.now() + seconds * 1000;
    const timer = setInterval(() => {
      const rest = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      setLeft(rest);
      if (rest === 0) clearInterval(timer);
    }, 1000);
    return () => clearInterval(timer);
  }, [problem]);
  return left;
}
