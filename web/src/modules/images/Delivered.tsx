import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { deliveredText } from './figures';

/** How far back is looked: as long as deliveries are kept. */
const days = 800;

/** To how many clients a version was delivered, and what that saved. */
export function Delivered({ version: { image } }: { version: Schemas['ImageVersion'] }) {
  const { data: report, isError } = useQuery({
    queryKey: ['report', 'delivery', 'image', image],
    queryFn: () => data(api.GET('/reports/delivery', { params: { query: { days, image } } })),
    refetchInterval: 60_000,
  });
  if (!report) return isError ? 'not known now' : '…';
  return (
    <>
      {deliveredText(report)} <Link to={`/reports/delivery?days=${days}`}>All deliveries</Link>
    </>
  );
}
