import { Button, Flex, FlexItem, FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useLocation, useNavigate, useSearchParams } from 'react-router';
import { plural } from '../../components/format';

const sizes = [50, 100, 500, 1000];
const usual = 100;

/** Which page of a report the address names. */
export function usePlace(): { limit: number; after: string | undefined } {
  const [search] = useSearchParams();
  const limit = Number(search.get('limit'));
  return { limit: sizes.includes(limit) ? limit : usual, after: search.get('after') ?? undefined };
}

/**
 * Turns the pages of a report. There is no number of pages: nobody counts
 * millions of rows to show a hundred. New rows do not shift the pages that follow.
 */
export function Pages({ rows, next }: { rows: number; next: string | undefined }) {
  const [search, setSearch] = useSearchParams();
  const navigate = useNavigate();
  const { state, pathname } = useLocation();
  const { limit, after } = usePlace();
  // The pages before this one, as far as one came here by turning them.
  const before: string[] = Array.isArray(state) ? state.filter((s): s is string => typeof s === 'string') : [];
  const go = (to: string | undefined, stack: string[]) => {
    const params = new URLSearchParams(search);
    if (to === undefined || to === '') params.delete('after');
    else params.set('after', to);
    void navigate({ pathname, search: params.toString() }, { state: stack });
  };
  return (
    <Flex role="navigation" aria-label="Pages of the report" alignItems={{ default: 'alignItemsCenter' }}>
      <FlexItem aria-live="polite">
        {plural(rows, 'row')}
        {next === undefined ? '' : ', and more'}
      </FlexItem>
      <FlexItem>
        <FormSelect
          aria-label="Rows on a page"
          value={limit}
          onChange={(_, size) =>
            setSearch(
              (was) => {
                const to = new URLSearchParams(was);
                to.set('limit', size);
                to.delete('after');
                return to;
              },
              { replace: true },
            )
          }
        >
          {sizes.map((s) => (
            <FormSelectOption key={s} value={s} label={`${s} on a page`} />
          ))}
        </FormSelect>
      </FlexItem>
      <FlexItem>
        <Button variant="link" isDisabled={after === undefined} onClick={() => go(undefined, [])}>
          First page
        </Button>
        <Button variant="link" isDisabled={before.length === 0} onClick={() => go(before.at(-1), before.slice(0, -1))}>
          Previous page
        </Button>
        <Button variant="link" isDisabled={next === undefined} onClick={() => go(next, [...before, after ?? ''])}>
          Next page
        </Button>
      </FlexItem>
    </Flex>
  );
}
