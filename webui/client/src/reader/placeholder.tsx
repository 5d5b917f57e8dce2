/** What the server draws, until the frame itself is there, or in its place where it cannot be decoded. */
import { useEffect, useState } from 'preact/hooks';
import type { Pane } from './pane';

export function Placeholder({ pane }: { pane: Pane }) {
  const away = pane.shown.value && !pane.failure.value;
  const wanted = away || !pane.picture.value ? null : addressOf(pane.picture.value, pane);
  const [asked, setAsked] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // One at a time: a finger asks faster than the server draws, and the last wish is what counts.
  useEffect(() => {
    if (busy || wanted === asked) return;
    setAsked(wanted);
    setBusy(wanted !== null);
  }, [wanted, asked, busy]);
  if (!wanted || !asked) return null;
  return <img class="placeholder" src={asked} alt="" onLoad={() => setBusy(false)} onError={() => setBusy(false)} />;
}

function addressOf(picture: string, pane: Pane): string {
  const asked = new URLSearchParams({ accept: 'image/jpeg' });
  const window = pane.asked.value;
  if (window) asked.set('window', `${window.center.toFixed(1)},${window.width.toFixed(1)},linear`);
  return `${picture}/rendered?${asked}`;
}
