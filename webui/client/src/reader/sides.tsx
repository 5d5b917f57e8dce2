/** Letters at the edges of a picture: which side of the patient is there. */
import type { Pane } from './pane';
import { type Sides, sidesOfFrame } from './patient';

export function SideLetters({ sides }: { sides: Sides | null }) {
  if (!sides) return null;
  return (
    <>
      {(['left', 'right', 'top', 'bottom'] as const).map((edge) => (
        <p key={edge} class={`side side-${edge}`}>
          {sides[edge]}
        </p>
      ))}
    </>
  );
}

export function PaneSides({ pane }: { pane: Pane }) {
  const frame = pane.shown.value;
  const matrix = pane.matrix.value;
  return frame && matrix ? <SideLetters sides={sidesOfFrame(frame, matrix)} /> : null;
}
