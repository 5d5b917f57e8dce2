/** What is beside follows the image that is read: along the patient where both are volumes of one orientation, else by images. */
import { computed, effect } from '@preact/signals';
import type { Pane } from './pane';
import { planeOf } from './patient';
import { dot, type Frame, isVolume } from './series';

/** Planes are parallel when their normals are no more than 8° apart. */
const PARALLEL = Math.cos((8 * Math.PI) / 180);

/**
 * Moves `other` as `main` moves while `isOn` says so, until the returned function is called.
 *
 * They stay as far apart as a person left them; at first they show the same place, or the same part of their stacks.
 */
export function link(main: Pane, other: Pane, isOn: () => boolean): () => void {
  const rulers = computed(() => rulersOf(main.frames.value, other.frames.value));
  let known: unknown = null;
  let led = -1;
  let apart = 0;
  return effect(() => {
    const [own, others, isOnePlace] = rulers.value;
    const [at, beside] = [main.index.value, other.index.value];
    const [here, there] = [own[at], others[beside]];
    const isLed = isOn();
    if (here === undefined || there === undefined) return;
    const isNew = rulers.value !== known;
    known = rulers.value;
    if (isLed && isNew) {
      led = isOnePlace ? nearest(others, here) : Math.round((at / Math.max(1, own.length - 1)) * (others.length - 1));
      apart = isOnePlace ? 0 : (others[led] ?? 0) - here;
      other.goTo(led);
    } else if (!isLed || beside !== led) {
      led = beside;
      apart = there - here;
    } else {
      led = nearest(others, here + apart);
      other.goTo(led);
    }
  });
}

/** Where the frames of both lie: in mm along one line, else by their numbers; and whether equal places are the same in the patient. */
function rulersOf(one: Frame[], other: Frame[]): [number[], number[], boolean] {
  const [planes, second] = [one.map(planeOf), other.map(planeOf)];
  const [first, beside] = [planes[0], second[0]];
  const isParallel = first && beside && isVolume(one) && isVolume(other) && Math.abs(dot([...first.normal], [...beside.normal])) > PARALLEL;
  if (!isParallel) return [[...one.keys()], [...other.keys()], false];
  const along = (plane: typeof first | null) => (plane ? dot([...plane.origin], [...first.normal]) : 0);
  return [planes.map(along), second.map(along), first.reference !== '' && first.reference === beside.reference];
}

function nearest(places: readonly number[], goal: number): number {
  return places.reduce((best, place, index) => (Math.abs(place - goal) < Math.abs((places[best] ?? Infinity) - goal) ? index : best), 0);
}
