import { Skeleton } from '@patternfly/react-core';

interface Props {
  /** What is waited for, as "images"; for screen readers. */
  what: string;
  height?: string;
}

/** Stands where something will be that is still on its way. */
export function Waiting({ what, height = '12rem' }: Props) {
  return (
    <div aria-busy="true">
      <Skeleton height={height} screenreaderText={`Loading: ${what}`} />
    </div>
  );
}
