import { FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useSearchParams } from 'react-router';
import { spans, useSpan } from './span';

/** Chooses how many days back the page looks. */
export function SpanSelect() {
  const [, setSearch] = useSearchParams();
  const days = useSpan();
  const choose = (chosen: string) =>
    setSearch(
      (was) => {
        const to = new URLSearchParams(was);
        to.set('days', chosen);
        return to;
      },
      { replace: true },
    );
  return (
    <FormSelect aria-label="Time" value={days} onChange={(_, d) => choose(d)}>
      {spans.map((s) => (
        <FormSelectOption key={s} value={s} label={`Last ${s} days`} />
      ))}
    </FormSelect>
  );
}
