import { useEffect, useSyncExternalStore } from 'react';

/** Light, dark, or as the system has it. */
export type Theme = 'light' | 'dark' | 'system';

const stored = 'dormer.theme';
const darkClass = 'pf-v6-theme-dark';
const system = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

const chosen = (): Theme => {
  const t = localStorage.getItem(stored);
  return t === 'light' || t === 'dark' ? t : 'system';
};

/** Whether the console is dark now. */
const isDark = (): boolean => (chosen() === 'system' ? system.matches : chosen() === 'dark');

function apply(): void {
  document.documentElement.classList.toggle(darkClass, isDark());
  for (const tell of listeners) tell();
}

system.addEventListener('change', apply);
apply();

export function setTheme(theme: Theme): void {
  if (theme === 'system') localStorage.removeItem(stored);
  else localStorage.setItem(stored, theme);
  apply();
}

const subscribe = (tell: () => void) => {
  listeners.add(tell);
  return () => {
    listeners.delete(tell);
  };
};

export const useTheme = (): Theme => useSyncExternalStore(subscribe, chosen);
export const useDark = (): boolean => useSyncExternalStore(subscribe, isDark);

/** Sets the title of the page while a component is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Dormer`;
  }, [title]);
}
