/** Findings drawn over the image, and the handles by which a place is corrected. */
import { type Finding, type Region, standing } from './findings';
import type { Pane } from './pane';
import type { Reading } from './reading';
import { applied, inverted, type Matrix, type Point } from './geometry';

const RING = 16;
/** Of the names, in pixels: how high a line is, and how wide a letter at most. */
const LINE = 16;
const LETTER = 8;
const LONGEST_NAME = 32;
/** So many stand below each other; more in one place are read in the list. */
const MOST_LINES = 8;

export function Overlay({ pane, reading }: { pane: Pane; reading: Reading }) {
  const matrix = pane.matrix.value;
  const frame = pane.shown.value;
  if (!matrix || !frame) return null;
  const here = (region: Region | null): region is Region => region?.sop_uid === frame.sop && region.frame === frame.frame;
  const edited = reading.editing.value === 'correct' ? reading.selected.value : null;
  const shown = reading.marks.value
    ? reading.findings.value.filter((finding) => finding.id !== edited && here(standing(finding).region))
    : [];
  const draft = reading.draft.value;
  const places = namePlaces(shown, matrix, reading.selected.value);
  return (
    <svg class={reading.editing.value ? 'overlay editing' : 'overlay'} {...placing(reading, pane, matrix)}>
      {shown.map((finding) => (
        <Mark key={finding.id} finding={finding} matrix={matrix} reading={reading} at={places.get(finding)} />
      ))}
      {here(draft) && <Draft region={draft} matrix={matrix} reading={reading} />}
    </svg>
  );
}

/** While something is added or corrected, a press sets a point and a drag draws a box. */
function placing(reading: Reading, pane: Pane, matrix: Matrix) {
  if (!reading.editing.value) return { 'aria-hidden': true } as const;
  return {
    role: 'application' as const,
    'aria-label': 'Press to set a point, drag to draw a box',
    onPointerDown: (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
      const frame = pane.shown.value;
      if (!frame || event.button !== 0 || !event.isPrimary) return;
      event.stopPropagation();
      const svg = event.currentTarget;
      const start = at(svg, event, matrix);
      const place = { sop_uid: frame.sop, frame: frame.frame };
      reading.draft.value = { ...place, kind: 'point', points: [start] };
      follow(svg, event, (now) => {
        const to = at(svg, now, matrix);
        const far = Math.hypot(to[0] - start[0], to[1] - start[1]) * Math.hypot(matrix[0], matrix[1]) > 6;
        if (far) reading.draft.value = { ...place, kind: 'box', points: corners(start, to) };
      });
    },
  };
}

function Mark({ finding, matrix, reading, at }: { finding: Finding; matrix: Matrix; reading: Reading; at: Point | undefined }) {
  const { region } = standing(finding);
  if (!region || !at) return null;
  const selected = reading.selected.value === finding.id;
  const verdict = finding.review?.verdict ?? 'none';
  const [x, y] = at;
  return (
    <g class={`mark-shape verdict-${verdict}${selected ? ' selected' : ''}`} data-finding={finding.id}>
      <Shape region={region} matrix={matrix} />
      <text x={x} y={y}>
        {nameOf(finding)}
      </text>
    </g>
  );
}

function nameOf(finding: Finding): string {
  const { label } = standing(finding);
  const shown = label.length > LONGEST_NAME ? `${label.slice(0, LONGEST_NAME - 1)}…` : label;
  return `${SIGNS[finding.review?.verdict ?? 'none']} ${shown}`.trim();
}

/** Names stand beside what they name: below each other where they would lie over each other, that of the selected one first. */
function namePlaces(findings: readonly Finding[], matrix: Matrix, selected: string | null): Map<Finding, Point> {
  const places = new Map<Finding, Point>();
  for (const finding of findings.toSorted((one, other) => Number(other.id === selected) - Number(one.id === selected))) {
    const { region } = standing(finding);
    if (!region) continue;
    let [x, y] = anchor(region, matrix);
    const width = (of: Finding) => nameOf(of).length * LETTER;
    const isTaken = () =>
      [...places].some(([other, [left, top]]) => Math.abs(top - y) < LINE && x < left + width(other) && left < x + width(finding));
    for (let line = 1; line < MOST_LINES && isTaken(); line += 1) y += LINE;
    places.set(finding, [x, y]);
  }
  return places;
}

const SIGNS = { none: '', accept: '✓', reject: '✕', correct: '✎' } as const;

function Shape({ region, matrix }: { region: Region; matrix: Matrix }) {
  const points = region.points.map((point) => applied(matrix, point));
  const [first, second] = points;
  if (!first) return null;
  if (region.kind === 'point') {
    return (
      <>
        <circle class="rim" cx={first[0]} cy={first[1]} r={RING} />
        <circle cx={first[0]} cy={first[1]} r={RING} />
        <circle class="dot" cx={first[0]} cy={first[1]} r={1.5} />
      </>
    );
  }
  const outline = region.kind === 'box' && second ? boxOf(first, second) : points;
  const drawn = outline.map((point) => point.join()).join(' ');
  const Outline = region.kind === 'line' ? 'polyline' : 'polygon';
  return (
    <>
      <Outline class="rim" points={drawn} />
      <Outline points={drawn} />
      {region.kind === 'line' && points.map(([x, y], index) => <circle class="dot" cx={x} cy={y} r={2.5} key={index} />)}
    </>
  );
}

function Draft({ region, matrix, reading }: { region: Region; matrix: Matrix; reading: Reading }) {
  const { points: handles } = region;
  const drag = (index: number) => (event: PointerEvent & { currentTarget: SVGElement }) => {
    const svg = event.currentTarget.closest('svg');
    if (!svg) return;
    event.stopPropagation();
    follow(svg, event, (now) => {
      const points = region.points.map((point, each) => (each === index ? at(svg, now, matrix) : point));
      reading.draft.value = { ...region, points };
    });
  };
  return (
    <g class="mark-shape draft">
      <Shape region={region} matrix={matrix} />
      {handles.map((point, index) => {
        const [x, y] = applied(matrix, point);
        return <circle data-handle={index} class="handle" cx={x} cy={y} r={region.kind === 'polygon' ? 6 : 9} key={index} onPointerDown={drag(index)} />;
      })}
    </g>
  );
}

function follow(svg: SVGElement, event: PointerEvent, moved: (now: PointerEvent) => void): void {
  svg.setPointerCapture(event.pointerId);
  const end = () => {
    svg.removeEventListener('pointermove', moved);
    svg.removeEventListener('pointerup', end);
    svg.removeEventListener('pointercancel', end);
  };
  svg.addEventListener('pointermove', moved);
  svg.addEventListener('pointerup', end);
  svg.addEventListener('pointercancel', end);
}

function at(svg: SVGElement, event: PointerEvent, matrix: Matrix): Point {
  const box = svg.getBoundingClientRect();
  return inverted(matrix, [event.clientX - box.left, event.clientY - box.top]);
}

function corners(one: Point, other: Point): Point[] {
  return [
    [Math.min(one[0], other[0]), Math.min(one[1], other[1])],
    [Math.max(one[0], other[0]), Math.max(one[1], other[1])],
  ];
}

function boxOf([left, top]: Point, [right, bottom]: Point): Point[] {
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}

function anchor(region: Region, matrix: Matrix): Point {
  const points = region.points.map((point) => applied(matrix, point));
  const right = Math.max(...points.map(([x]) => x));
  const middle = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  return [right + (region.kind === 'point' ? RING : 0) + 6, middle + 4];
}
