import { Badge } from '@patternfly/react-core';
import { count } from '../../components/format';
import { useOpenAlerts } from './queries';

/** How many alerts are open, beside the module's name; nothing while there are none. */
export function AlertCount() {
  const { data } = useOpenAlerts();
  if (!data || data.items.length === 0) return null;
  return (
    <Badge screenReaderText="open">
      {count(data.items.length)}
      {data.next === undefined ? '' : '+'}
    </Badge>
  );
}
