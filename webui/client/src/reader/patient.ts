/** Where an image lies in the patient: x to the left, y to the back, z to the head, in mm (PS3.3 C.7.6.2.1.1). */
import { type Attributes, items, numbers, text, values } from '../dicom';
import type { Matrix, Point } from './geometry';
import { inverted } from './geometry';
import { cross, dot, type Frame } from './series';

export type Vector = readonly [number, number, number];

export interface Plane {
  reference: string;
  /** The middle of the first pixel. */
  origin: Vector;
  /** One column to the right, and one row down, in mm. */
  column: Vector;
  row: Vector;
  normal: Vector;
  columns: number;
  rows: number;
}

const LETTERS = [['L', 'R'], ['P', 'A'], ['H', 'F']] as const;
/** A direction is named after an axis when it is no more than 75° from it. */
const NEAR = Math.cos((75 * Math.PI) / 180);
const OPPOSITE: Record<string, string> = { L: 'R', R: 'L', A: 'P', P: 'A', H: 'F', F: 'H' };

/** The plane of a frame; null where the file does not say where it is. */
export function planeOf(frame: Frame): Plane | null {
  const { header } = frame;
  const position = macro(frame, '00209113', '00200032');
  const axes = macro(frame, '00209116', '00200037');
  const [down, across] = macro(frame, '00289110', '00280030');
  if (position.length !== 3 || axes.length !== 6 || !down || !across) return null;
  const [right, below] = [axes.slice(0, 3), axes.slice(3)];
  return {
    reference: text(header, '00200052'),
    origin: vector(position),
    column: vector(right.map((each) => each * across)),
    row: vector(below.map((each) => each * down)),
    normal: vector(cross(right, below)),
    columns: numbers(header, '00280011')[0] ?? 0,
    rows: numbers(header, '00280010')[0] ?? 0,
  };
}

/** The values of an attribute: of the image, or of the frame's functional group (PS3.3 C.7.6.16). */
function macro({ header, frame }: Frame, sequence: string, tag: string): number[] {
  const own = items(header, '52009230')[frame - 1];
  const groups: (Attributes | undefined)[] = [header, items(own, sequence)[0], items(items(header, '52009229')[0], sequence)[0]];
  return groups.map((group) => numbers(group, tag)).find((found) => found.length) ?? [];
}

function vector([x = 0, y = 0, z = 0]: readonly number[]): Vector {
  return [x, y, z];
}

export function plus(one: readonly number[], by: number, other: readonly number[]): Vector {
  return vector(one.map((each, axis) => each + by * (other[axis] ?? 0)));
}

/** From column and row (0.0 is the outer edge of the first pixel) into the patient. */
export function inPatient({ origin, column, row }: Plane, [x, y]: Point): Vector {
  return plus(plus(origin, x - 0.5, column), y - 0.5, row);
}

/** The column and row that are nearest to a point in the patient. */
export function inImage({ origin, column, row }: Plane, point: Vector): Point {
  const from = plus(point, -1, origin);
  const along = (step: Vector) => dot([...from], [...step]) / dot([...step], [...step]) + 0.5;
  return [along(column), along(row)];
}

/** The letters of a direction, that of the nearest axis first (PS3.3 C.7.6.1.1.1). */
export function letters(direction: readonly number[]): string {
  const length = Math.hypot(...direction) || 1;
  return direction
    .map((part, axis) => ({ far: Math.abs(part) / length, letter: LETTERS[axis]?.[part < 0 ? 1 : 0] ?? '' }))
    .filter(({ far }) => far >= NEAR)
    .sort((one, other) => other.far - one.far)
    .map(({ letter }) => letter)
    .join('');
}

export interface Sides {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

/** The sides of the patient at the edges of the picture, from where right and down of the screen point to. */
export function sidesOf(right: string, bottom: string): Sides {
  const across = (side: string) => [...side].map((letter) => OPPOSITE[letter] ?? '').join('');
  return { right, bottom, left: across(right), top: across(bottom) };
}

/** The sides of a frame as it is drawn; null where the file does not say. */
export function sidesOfFrame(frame: Frame, [a, b, c, d]: Matrix): Sides | null {
  const plane = planeOf(frame);
  if (plane) {
    const linear: Matrix = [a, b, c, d, 0, 0];
    const toward = (x: number, y: number) => {
      const [columns, rows] = inverted(linear, [x, y]);
      return letters(plus(plane.column.map((each) => each * columns), rows, plane.row));
    };
    return sidesOf(toward(1, 0), toward(0, 1));
  }
  // Radiographs say it in letters (PS3.3 C.7.6.1.1.1).
  const [right, bottom] = values(frame.header, '00200020').map(String);
  return right && bottom ? sidesOf(right, bottom) : null;
}

/** Where the picture of another plane cuts this one, in columns and rows; null where it does not. */
export function cutBy(plane: Plane, other: Plane): [Point, Point] | null {
  if (!plane.reference || plane.reference !== other.reference) return null;
  const corners = ([[0, 0], [other.columns, 0], [other.columns, other.rows], [0, other.rows]] as const).map((corner) =>
    inPatient(other, corner),
  );
  const above = corners.map((corner) => dot([...plus(corner, -1, plane.origin)], [...plane.normal]));
  const cuts = corners.flatMap((corner, index): Point[] => {
    const next = (index + 1) % corners.length;
    const [here = 0, there = 0] = [above[index], above[next]];
    if (here < 0 === there < 0) return [];
    return [inImage(plane, plus(corner, here / (here - there), plus(corners[next] ?? corner, -1, corner)))];
  });
  const [one, two] = cuts;
  return one && two ? [one, two] : null;
}
