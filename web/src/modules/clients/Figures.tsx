import { Badge, Flex, FlexItem } from '@patternfly/react-core';
import type { Schemas } from '../../api/client';
import { LinkButton } from '../../components/LinkButton';
import { count } from '../../components/format';
import { parametersOf, states, type Filters } from './filters';

interface Props {
  figures: Schemas['ClientFigures'];
  filters: Filters;
}

/** How many clients are in each state; each number shows those clients. */
export function Figures({ figures, filters }: Props) {
  const all = [
    { state: 'active', name: 'All', count: (f: Schemas['ClientFigures']) => f.active, trouble: false },
    ...states,
  ];
  return (
    <Flex component="ul" className="dormer-choices" aria-label="States of clients" gap={{ default: 'gapSm' }}>
      {all.map((s) => {
        const n = s.count(figures);
        const chosen = filters.state === s.state;
        if (n === 0 && s.trouble === true && !chosen) return null;
        const to = `?${parametersOf({ ...filters, state: s.state, page: 1 }).toString()}`;
        return (
          <FlexItem component="li" key={s.state}>
            <LinkButton
              size="sm"
              variant={chosen ? 'primary' : 'tertiary'}
              isDanger={s.trouble === true && !chosen}
              to={to}
              aria-current={chosen ? 'true' : undefined}
            >
              {s.name} <Badge isRead>{count(n)}</Badge>
            </LinkButton>
          </FlexItem>
        );
      })}
    </Flex>
  );
}
