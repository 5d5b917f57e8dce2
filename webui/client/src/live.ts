/** What changes on the server, told by its event stream; asked for from time to time where there is none. */

/** After silence the page asks at once; in a flood of changes with ever longer gaps. */
const LEAST_GAP_MS = 500;
const MOST_GAP_MS = 4_000;
/** For what a stream may miss. */
const ANYWAY_MS = 60_000;

/**
 * Calls `ask` when something may have changed, until the returned function is called.
 *
 * `ask` says whether it did ask; if not it is called again. Only a page that is seen listens: a browser keeps
 * few connections to a server, and its tabs share them (RFC 9112 9.4).
 */
export function whenChanged(ask: () => Promise<boolean>): () => void {
  let stream: EventSource | null = null;
  let openedAt = -Infinity;
  let askedAt = -Infinity;
  let gap = LEAST_GAP_MS;
  let stale = false;
  let waiting = 0;

  const attend = async () => {
    clearTimeout(waiting);
    if (!stale || document.hidden) return;
    const now = performance.now();
    const pause = askedAt + gap - now;
    if (pause <= 0) {
      stale = false;
      gap = now - askedAt < 2 * gap ? Math.min(2 * gap, MOST_GAP_MS) : LEAST_GAP_MS;
      askedAt = now;
      if (await ask()) return;
      stale = true;
    }
    waiting = window.setTimeout(() => void attend(), Math.max(pause, LEAST_GAP_MS));
  };
  const changed = () => {
    stale = true;
    void attend();
  };
  const listen = () => {
    openedAt = performance.now();
    stream = new EventSource('/api/changes');
    stream.addEventListener('change', changed);
  };
  const tick = () => {
    if (document.hidden) return;
    const longAgo = (then: number) => performance.now() - then >= ANYWAY_MS;
    // A browser comes again by itself after a break, but not after a refusal.
    if (stream?.readyState === EventSource.CLOSED && longAgo(openedAt)) listen();
    if (stream?.readyState !== EventSource.OPEN || longAgo(askedAt)) changed();
  };
  const seen = () => {
    stream?.close();
    if (!document.hidden) listen();
  };
  const timer = setInterval(tick, MOST_GAP_MS);
  document.addEventListener('visibilitychange', seen);
  seen();
  return () => {
    clearInterval(timer);
    clearTimeout(waiting);
    document.removeEventListener('visibilitychange', seen);
    stream?.close();
  };
}
