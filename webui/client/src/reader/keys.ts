/** The keys of the reader. */
import { isAlarm } from './findings';
import { CT_PRESETS } from './presets';
import type { Reading } from './reading';

export const KEYS: readonly (readonly [string, string])[] = [
  ['↑ ↓ ← →', 'image before or after; with Page ten of them; Home, End'],
  ['N P', 'next or previous finding'],
  ['A X E', 'accept, reject, correct the finding'],
  ['U', 'take the verdict back'],
  ['K', 'acknowledge a critical finding'],
  ['1 – 5', 'window presets (CT); 0 as at first'],
  ['I F', 'invert; fit'],
  ['+ −', 'zoom'],
  ['M', 'marks and masks on or off'],
  ['Space', 'cine, start and stop'],
  ['Drag', 'window; with the right button zoom, with the middle one pan; the wheel scrolls, with Ctrl it zooms'],
  ['Esc', 'stop correcting'],
];

export function listenToKeys(reading: Reading): () => void {
  const down = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === 'Escape') return reading.stopEditing();
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (target?.closest('input, select, textarea, dialog, summary')) return;
    if (event.key === ' ' && target?.closest('button, a')) return;
    const action = actions(reading)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  addEventListener('keydown', down);
  return () => removeEventListener('keydown', down);
}

function actions(reading: Reading): Record<string, () => void> {
  const { main } = reading;
  const finding = reading.finding.value;
  const presets = CT_PRESETS.map(({ window }, index) => [
    String(index + 1),
    () => main.series.value?.modality === 'CT' && main.setWindow(window),
  ]);
  return {
    ArrowDown: () => main.step(1),
    ArrowUp: () => main.step(-1),
    ArrowRight: () => main.step(1),
    ArrowLeft: () => main.step(-1),
    PageDown: () => main.step(10),
    PageUp: () => main.step(-10),
    Home: () => main.goTo(0),
    End: () => main.goTo(Number.POSITIVE_INFINITY),
    n: () => reading.selectNext(1),
    p: () => reading.selectNext(-1),
    a: () => finding && !finding.review && void reading.judge(finding, { verdict: 'accept' }),
    x: () => finding && !finding.review && void reading.judge(finding, { verdict: 'reject' }),
    e: () => finding && !finding.review && reading.startCorrection(finding),
    k: () => finding && isAlarm(finding) && void reading.acknowledge(finding),
    u: () => finding?.review && void reading.undo(finding),
    i: () => main.view?.invert(),
    f: () => reading.fit(),
    '+': () => main.view?.zoomBy(1.2),
    '-': () => main.view?.zoomBy(1 / 1.2),
    '0': () => main.resetWindow(),
    m: () => (reading.marks.value = !reading.marks.value),
    ' ': () => main.play(),
    ...Object.fromEntries(presets),
  };
}
