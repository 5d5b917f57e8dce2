/** The volume in three planes, with the lines where the other two cut. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Point } from './geometry';
import type { Mpr, Plane } from './mpr';
import type { Reading } from './reading';

const NAMES: readonly (readonly [Plane, string])[] = [
  ['axial', 'Axial'],
  ['sagittal', 'Sagittal'],
  ['coronal', 'Coronal'],
];
const WHEEL_STEP = 40;

export function MprView({ reading }: { reading: Reading }) {
  const elements = useRef<Partial<Record<Plane, HTMLDivElement>>>({});
  const mpr = useRef<Mpr | null>(null);
  const [meeting, setMeeting] = useState<Partial<Record<Plane, Point | null>>>({});
  const [failure, setFailure] = useState('');
  useEffect(() => {
    let open = true;
    const start = async () => {
      const [viewer, { Mpr }] = await Promise.all([import('./viewer'), import('./mpr')]);
      if (!open) return;
      if (!viewer.canDrawVolumes()) return setFailure('Volumes need WebGL, which this browser does not offer.');
      const frames = reading.main.frames.value;
      viewer.describe(frames);
      const update = () => {
        const now = mpr.current;
        if (now) setMeeting(Object.fromEntries(NAMES.map(([plane]) => [plane, now.meetingIn(plane)])));
      };
      mpr.current = new Mpr(elements.current as Record<Plane, HTMLDivElement>, update);
      await mpr.current.show(reading.main.series.value?.uid ?? '', frames, reading.main.window.value);
      update();
    };
    start().catch(() => setFailure('This series does not make a volume.'));
    return () => {
      open = false;
      mpr.current?.close();
      mpr.current = null;
    };
  }, []);
  return (
    <div class="mpr">
      {NAMES.map(([plane, name]) => (
        <section
          key={plane}
          class="pane"
          tabIndex={0}
          aria-label={`${name} plane`}
          onWheel={(event) => mpr.current?.scroll(plane, Math.round(event.deltaY / WHEEL_STEP) || Math.sign(event.deltaY))}
          onPointerMove={(event) => event.buttons & 1 && mpr.current?.meetAt(plane, place(event))}
          onPointerDown={(event) => event.button === 0 && mpr.current?.meetAt(plane, place(event))}
        >
          <div class="canvas" ref={(element) => void (element && (elements.current[plane] = element))} />
          <Lines at={meeting[plane] ?? null} />
          <p class="corner top-left">{name}</p>
        </section>
      ))}
      {failure && (
        <p class="pane-failure" role="alert">
          {failure}
        </p>
      )}
    </div>
  );
}

function place(event: PointerEvent & { currentTarget: HTMLElement }): Point {
  const box = event.currentTarget.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function Lines({ at }: { at: Point | null }) {
  if (!at) return null;
  return (
    <svg class="overlay reference" aria-hidden="true">
      <line x1="0" x2="100%" y1={at[1]} y2={at[1]} />
      <line y1="0" y2="100%" x1={at[0]} x2={at[0]} />
    </svg>
  );
}
