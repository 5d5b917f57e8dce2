/** Mouse, wheel and fingers on a picture. */
import type { Pane } from './pane';
import type { Point } from './geometry';

export type Tool = 'window' | 'scroll' | 'zoom' | 'pan' | 'press';

/** What gestures move. */
export interface Surface {
  step(by: number): void;
  changeWindow(x: number, y: number): void;
  zoomBy(factor: number, around: Point): void;
  panBy(x: number, y: number): void;
  press(at: Point): void;
}

const PIXELS_PER_FRAME = 6;
const ZOOM_PER_PIXEL = 1.006;
const WHEEL_STEP = 40;

/** Listens until the returned function is called. `tool` is what the first button or one finger does. */
export function listen(element: HTMLElement, surface: Surface, tool: (touch: boolean) => Tool): () => void {
  const pointers = new Map<number, Point>();
  let rest = 0;

  const place = (event: PointerEvent | WheelEvent): Point => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const down = (event: PointerEvent) => {
    if (event.target instanceof Element && event.target.closest('button, [data-handle]')) return;
    const at = place(event);
    pointers.set(event.pointerId, at);
    element.setPointerCapture(event.pointerId);
    rest = 0;
    if (chosen(event) === 'press' && pointers.size === 1) surface.press(at);
  };
  const up = (event: PointerEvent) => pointers.delete(event.pointerId);
  const move = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    if (pointers.size === 2) pinch(surface, pointers, event.pointerId, now);
    else drag(before, now, chosen(event));
    pointers.set(event.pointerId, now);
  };
  const chosen = (event: PointerEvent): Tool =>
    event.buttons & 2 ? 'zoom' : event.buttons & 4 ? 'pan' : tool(event.pointerType === 'touch');
  const drag = (from: Point, to: Point, by: Tool) => {
    const [x, y] = [to[0] - from[0], to[1] - from[1]];
    if (by === 'window') surface.changeWindow(x, y);
    else if (by === 'zoom') surface.zoomBy(ZOOM_PER_PIXEL ** -y, from);
    else if (by === 'pan') surface.panBy(x, y);
    else if (by === 'press') surface.press(to);
    else scroll(y, PIXELS_PER_FRAME);
  };
  const scroll = (far: number, each: number) => {
    rest += far;
    const steps = Math.trunc(rest / each);
    rest -= steps * each;
    if (steps) surface.step(steps);
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    if (event.ctrlKey) return surface.zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1, place(event));
    scroll(event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * WHEEL_STEP, WHEEL_STEP);
  };
  const noMenu = (event: Event) => event.preventDefault();

  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', move);
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('wheel', wheel, { passive: false });
  element.addEventListener('contextmenu', noMenu);
  return () => {
    element.removeEventListener('pointerdown', down);
    element.removeEventListener('pointermove', move);
    element.removeEventListener('pointerup', up);
    element.removeEventListener('pointercancel', up);
    element.removeEventListener('wheel', wheel);
    element.removeEventListener('contextmenu', noMenu);
  };
}

/** The stack of a pane under the fingers. */
export function surfaceOf(pane: Pane): Surface {
  return {
    step: (by) => pane.step(by),
    changeWindow: (x, y) => changeWindow(pane, x, y),
    zoomBy: (factor, around) => pane.view?.zoomBy(factor, around),
    panBy: (x, y) => pane.view?.panBy(x, y),
    press: () => undefined,
  };
}

/** Right is wider, down is darker: as far as the window is wide, so that CT and MR both move well. */
export function changeWindow(pane: Pane, x: number, y: number): void {
  const window = pane.window.peek();
  if (!window) return;
  const step = Math.max(window.width, 1) / 300;
  pane.setWindow({ center: window.center + y * step, width: Math.max(1, window.width + x * step) });
}

function pinch(surface: Surface, pointers: Map<number, Point>, moved: number, now: Point): void {
  const before = pointers.get(moved);
  const other = [...pointers].find(([id]) => id !== moved)?.[1];
  if (!before || !other) return;
  const apart = (point: Point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
  const middle: Point = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
  surface.zoomBy(apart(now) / apart(before), middle);
  surface.panBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
}
