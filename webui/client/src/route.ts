/** The address of the page as a signal, and links that change it without loading the page anew. */
import { signal } from '@preact/signals';

export const address = signal(location.pathname + location.search);

addEventListener('popstate', () => (address.value = location.pathname + location.search));

export function go(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  address.value = to;
  if (replace) return;
  scrollTo(0, 0);
  // The page that was left took the focus with it: whoever hears or tabs through pages starts at the content.
  document.getElementById('main')?.focus({ preventScroll: true });
}

/** Takes clicks on links to our own pages, and leaves those that ask for a new tab to the browser. */
export function followLinks(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (!link || event.defaultPrevented || event.button !== 0 || link.target || link.hasAttribute('download')) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.hash || link.origin !== location.origin || !isOurs(link.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

function isOurs(path: string): boolean {
  return ['/', '/upload', '/operations'].includes(path) || /^\/studies\/[0-9.]+$/.test(path);
}
