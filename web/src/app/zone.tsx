import { createContext, useContext, useMemo, useState, type ReactNode } from 'react';

const stored = 'dormer.zone';
const browsers = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Returns a time zone when the browser knows it: another one may have kept it, or an older one. */
function known(zone: string | null): string | undefined {
  if (zone === null) return undefined;
  try {
    Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    return undefined;
  }
}

interface Zone {
  /** The time zone in which times are shown and dates of reports begin, as Europe/Berlin. */
  zone: string;
  setZone: (zone: string) => void;
}

const ZoneContext = createContext<Zone>({ zone: browsers, setZone: () => undefined });

/** Keeps the time zone that somebody chose; the browser's until then. */
export function ZoneProvider({ children }: { children: ReactNode }) {
  const [zone, setState] = useState(() => known(localStorage.getItem(stored)) ?? browsers);
  const value = useMemo(
    () => ({
      zone,
      setZone: (chosen: string) => {
        localStorage.setItem(stored, chosen);
        setState(chosen);
      },
    }),
    [zone],
  );
  return <ZoneContext value={value}>{children}</ZoneContext>;
}

export const useZone = (): Zone => useContext(ZoneContext);

/** The time zones that the browser knows, and UTC. */
export const zones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone').filter((z) => z !== 'UTC')];
