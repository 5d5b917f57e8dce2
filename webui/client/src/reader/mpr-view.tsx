/** The volume in three planes, with the lines where the other two cut, and the findings in it. */
import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { standing } from './findings';
import type { Point } from './geometry';
import { changeWindow, listen, type Surface } from './gestures';
import { segmentKey } from './mask-layer';
import type { Mpr, Plane } from './mpr';
import type { Sides } from './patient';
import type { Reading } from './reading';
import { SideLetters } from './sides';
import { readVolumeMasks, type VolumeMasks } from './volume-masks';
import { WindowText } from './window-text';

const NAMES: readonly (readonly [Plane, string])[] = [
  ['axial', 'Axial'],
  ['sagittal', 'Sagittal'],
  ['coronal', 'Coronal'],
];

export function MprView({ reading }: { reading: Reading }) {
  const elements = useRef<Partial<Record<Plane, HTMLDivElement>>>({});
  const [mpr, setMpr] = useState<Mpr | null>(null);
  const [drawn, redraw] = useState(0);
  const [failure, setFailure] = useState('');
  useEffect(() => {
    let open = true;
    let made: Mpr | null = null;
    const start = async () => {
      const [viewer, { Mpr }] = await Promise.all([import('./viewer'), import('./mpr')]);
      if (!open) return;
      if (!viewer.canDrawVolumes()) return setFailure('Volumes need WebGL, which this browser does not offer.');
      const frames = reading.main.frames.value;
      viewer.describe(frames);
      made = new Mpr(elements.current as Record<Plane, HTMLDivElement>, () => redraw((count) => count + 1));
      await made.show(reading.main.series.value?.uid ?? '', frames, reading.main.window.value);
      if (open) setMpr(made);
    };
    start().catch(() => setFailure('This series does not make a volume.'));
    const observer = new ResizeObserver(() => made?.resized());
    for (const element of Object.values(elements.current)) observer.observe(element);
    return () => {
      open = false;
      observer.disconnect();
      made?.close();
    };
  }, []);
  useFollowing(mpr, reading);
  const masks = useMasks(mpr, reading, setFailure);
  return (
    <div class="mpr">
      {NAMES.map(([plane, name]) => (
        <PlaneView key={plane} mpr={mpr} masks={masks} drawn={drawn} plane={plane} name={name} reading={reading} elements={elements.current} />
      ))}
      {mpr && mpr.loaded < mpr.slices.length && (
        <progress class="volume" aria-label="Images loaded" value={mpr.loaded} max={mpr.slices.length} />
      )}
      {failure && (
        <p class="pane-failure" role="alert">
          {failure}
        </p>
      )}
    </div>
  );
}

/** The planes follow the window, the finding that is selected, and the wish to see all. */
function useFollowing(mpr: Mpr | null, reading: Reading): void {
  const now = useRef(mpr);
  now.current = mpr;
  useSignalEffect(() => {
    const window = reading.main.window.value;
    if (window) now.current?.setWindow(window);
  });
  useSignalEffect(() => {
    if (reading.fits.value) now.current?.fit();
  });
  const selected = reading.finding.value;
  useEffect(() => {
    const sphere = selected && reading.sphereOf(selected);
    if (sphere) mpr?.meet(sphere.center);
  }, [mpr, selected?.id]);
}

/** The masks of the segmentations that findings name, once for the volume. */
function useMasks(mpr: Mpr | null, reading: Reading, fail: (reason: string) => void): VolumeMasks | null {
  const [masks, setMasks] = useState<VolumeMasks | null>(null);
  const segments = reading.segments.value;
  useEffect(() => {
    if (!mpr || !segments.length) return;
    let current = true;
    const known = new Map(reading.main.frames.value.map((frame) => [frame.imageId, frame]));
    const frames = mpr.slices.flatMap((id) => known.get(id) ?? []);
    readVolumeMasks(mpr.size, frames, segments).then(
      (found) => current && setMasks(found),
      (error: unknown) => current && fail(`The masks cannot be shown. ${error instanceof Error ? error.message : ''}`),
    );
    return () => {
      current = false;
    };
  }, [mpr, segments]);
  return masks;
}

interface PlaneProps {
  mpr: Mpr | null;
  masks: VolumeMasks | null;
  /** Changes whenever a plane was moved. */
  drawn: number;
  plane: Plane;
  name: string;
  reading: Reading;
  elements: Partial<Record<Plane, HTMLDivElement>>;
}

function PlaneView({ mpr, masks, drawn, plane, name, reading, elements }: PlaneProps) {
  const outer = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!mpr || !outer.current) return;
    const surface: Surface = {
      step: (by) => mpr.scroll(plane, by),
      changeWindow: (x, y) => changeWindow(reading.main, x, y),
      zoomBy: (factor, around) => mpr.zoomBy(plane, factor, around),
      panBy: (x, y) => mpr.panBy(plane, x, y),
      press: (at) => mpr.meetAt(plane, at),
    };
    const chosen = reading.tool;
    return listen(outer.current, surface, () => (chosen.value === 'scroll' ? 'press' : (chosen.value ?? 'press')));
  }, [mpr]);
  const sides: Sides | null = mpr?.sidesIn(plane) ?? null;
  return (
    <section class="pane" ref={outer} tabIndex={0} aria-label={`${name} plane`}>
      <div class="canvas" ref={(element) => void (element && (elements[plane] = element))} />
      {mpr && masks && <Masks mpr={mpr} masks={masks} drawn={drawn} plane={plane} reading={reading} />}
      <Lines at={mpr?.meetingIn(plane) ?? null} />
      {mpr && reading.marks.value && <Marks mpr={mpr} drawn={drawn} plane={plane} reading={reading} />}
      <SideLetters sides={sides} />
      <p class="corner top-left">
        {name}
        <br />
        {plane === 'axial' && <WindowText window={reading.main.window.value} />}
      </p>
    </section>
  );
}

/** What the plane cuts of the segments that are shown. */
function Masks({ mpr, masks, plane, reading }: { mpr: Mpr; masks: VolumeMasks; drawn: number; plane: Plane; reading: Reading }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const opacity = reading.opacity.value;
  const shown = reading.segments.value.filter((segment) => !reading.hidden.value.has(segmentKey(segment)));
  const cut = mpr.cutOf(plane);
  const [width, height] = mpr.sizeOf(plane);
  useEffect(() => {
    if (!canvas.current || !cut) return;
    Object.assign(canvas.current, { width, height });
    masks.draw(canvas.current, cut, new Set(shown), opacity);
    canvas.current.dataset.drawn = 'yes';
  }, [masks, JSON.stringify(cut), width, height, opacity, shown.map(segmentKey).join()]);
  return <canvas class="masks" ref={canvas} hidden={!reading.marks.value} />;
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

/** Findings that the plane goes through, as circles. */
function Marks({ mpr, plane, reading }: { mpr: Mpr; drawn: number; plane: Plane; reading: Reading }) {
  return (
    <svg class="overlay" aria-hidden="true">
      {reading.findings.value.map((finding) => {
        const sphere = reading.sphereOf(finding);
        const circle = sphere && mpr.circleIn(plane, sphere.center, sphere.radius);
        if (!circle) return null;
        const [x, y] = circle.at;
        const selected = reading.selected.value === finding.id ? ' selected' : '';
        return (
          <g key={finding.id} class={`mark-shape verdict-${finding.review?.verdict ?? 'none'}${selected}`} data-finding={finding.id}>
            <circle class="rim" cx={x} cy={y} r={circle.radius} />
            <circle cx={x} cy={y} r={circle.radius} />
            <text x={x + circle.radius + 6} y={y + 4}>
              {standing(finding).label}
            </text>
          </g>
        );
      })}
    </svg>
  );
}
