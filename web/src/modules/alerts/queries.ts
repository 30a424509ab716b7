import { useQuery, type UseQueryResult } from '@tanstack/react-query';
import { api, data, type Schemas } from '../../api/client';
import { liveInterval } from '../../app/queries';

/** The alerts that are open, newest first, again and again. */
export const useOpenAlerts = (): UseQueryResult<Schemas['ListAlert']> =>
  useQuery({
    queryKey: ['alert'],
    queryFn: () => data(api.GET('/alerts')),
    refetchInterval: liveInterval,
  });

/** The rules: those of the program and those of operators. */
export const useRules = (): UseQueryResult<Schemas['ListListedAlertRule']> =>
  useQuery({ queryKey: ['alert-rule'], queryFn: () => data(api.GET('/alert-rules')) });
