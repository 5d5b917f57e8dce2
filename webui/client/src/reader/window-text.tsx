/** The window as readers write it. */
import type { Window } from './viewer';

export function WindowText({ window }: { window: Window | null }) {
  if (!window) return null;
  return (
    <span>
      W {Math.round(window.width)} C {Math.round(window.center)}
    </span>
  );
}
