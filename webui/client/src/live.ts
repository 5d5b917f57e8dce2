/** What changes on the server, told by its event stream; asked for from time to time where there is none. */

/** After silence the page asks at once; in a flood of changes with ever longer gaps. */
const LEAST_GAP_MS = 500;
const MOST_GAP_MS = 4_000;
/** For what a stream may miss. */
const ANYWAY_MS = 60_000;

/** What the stream tells apart. */
export type Kind = 'studies' | 'work' | 'reviews' | 'models' | 'refusals' | 'parts' | 'routes';

/**
 * Calls `ask` with those of `kinds` that may have changed, until the returned function is called.
 *
 * `ask` says whether it did ask; if not it is called again. Without a stream all may have changed. Only a page that is seen listens: a browser keeps
 * few connections to a server, and its tabs share them (RFC 9112 9.4).
 */
export function whenChanged(kinds: readonly Kind[], ask: (news: ReadonlySet<Kind>) => Promise<boolean>): () => void {
  let stream: EventSource | null = null;
  let openedAt = -Infinity;
  let askedAt = -Infinity;
  let allAskedAt = -Infinity;
  let gap = LEAST_GAP_MS;
  let news = new Set<Kind>();
  let waiting = 0;

  const attend = async () => {
    clearTimeout(waiting);
    if (!news.size || document.hidden) return;
    const now = performance.now();
    const pause = askedAt + gap - now;
    if (pause <= 0) {
      const told = news;
      news = new Set();
      gap = now - askedAt < 2 * gap ? Math.min(2 * gap, MOST_GAP_MS) : LEAST_GAP_MS;
      askedAt = now;
      if (told.size === kinds.length) allAskedAt = now;
      if (await ask(told)) return;
      for (const kind of told) news.add(kind);
    }
    waiting = window.setTimeout(() => void attend(), Math.max(pause, LEAST_GAP_MS));
  };
  const changed = (told: readonly Kind[]) => {
    for (const kind of told) if (kinds.includes(kind)) news.add(kind);
    void attend();
  };
  const listen = () => {
    openedAt = performance.now();
    stream = new EventSource('/api/changes');
    stream.addEventListener('change', (event) => changed(JSON.parse(event.data)));
  };
  const tick = () => {
    if (document.hidden) return;
    const longAgo = (then: number) => performance.now() - then >= ANYWAY_MS;
    // A browser comes again by itself after a break, but not after a refusal.
    if (stream?.readyState === EventSource.CLOSED && longAgo(openedAt)) listen();
    if (stream?.readyState !== EventSource.OPEN || longAgo(allAskedAt)) changed(kinds);
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
