/** How the last weeks went, as charts. */
export function Trends() {
  return null;
}
