/** Where the image of the other pane cuts this one. */
import { applied } from './geometry';
import type { Pane } from './pane';
import { cutBy, planeOf } from './patient';

export function ReferenceLine({ pane, other }: { pane: Pane; other: Pane }) {
  const [matrix, shown, beside] = [pane.matrix.value, pane.shown.value, other.shown.value];
  if (!matrix || !shown || !beside) return null;
  const [plane, second] = [planeOf(shown), planeOf(beside)];
  const cut = plane && second && cutBy(plane, second);
  if (!cut) return null;
  const [[x1, y1], [x2, y2]] = [applied(matrix, cut[0]), applied(matrix, cut[1])];
  return (
    <svg class="overlay reference" aria-hidden="true">
      <line x1={x1} y1={y1} x2={x2} y2={y2} />
    </svg>
  );
}
