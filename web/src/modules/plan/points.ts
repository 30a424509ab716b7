/** How many points a line has at most. */
const most = 60;

/** Of many points those that are worth drawing: spread evenly, the last always. */
export function drawnPoints<T>(points: T[]): T[] {
  if (points.length <= most) return points;
  const step = (points.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, i) => points[Math.round(i * step)]).filter((p): p is T => p !== undefined);
}
