import { Banner } from '@patternfly/react-core';
import { useEffect, useState } from 'react';
import { useZone } from '../app/zone';
import { useNotices } from './notices';

/** How long the server may be away before people are told, in milliseconds: a stream that is begun anew is no news. */
const patience = 2_500;

/** Says while the server does not answer that what is shown may be old, and from when it is. */
export function ConnectionBanner() {
  const { lost } = useNotices();
  const { zone } = useZone();
  const [told, setTold] = useState<string>();
  useEffect(() => {
    const timer = setTimeout(() => setTold(lost), lost === undefined ? 0 : patience);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <div role="status">
      {told !== undefined && (
        <Banner status="warning" screenReaderText="Warning:">
          The server does not answer. What is shown is from{' '}
          {new Date(told).toLocaleTimeString('en-GB', { timeZone: zone, timeStyle: 'short' })}; it is asked again by
          itself.
        </Banner>
      )}
    </div>
  );
}
