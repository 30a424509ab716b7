import { useSearchParams } from 'react-router';

/** How many days back one can look. */
export const spans = [2, 7, 30, 90, 365, 800];

const usual = 30;

/** How many days back the page looks, as its address says. */
export function useSpan(): number {
  const [search] = useSearchParams();
  const asked = Number(search.get('days'));
  return spans.includes(asked) ? asked : usual;
}
