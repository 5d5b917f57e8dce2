/** A menu that opens below its name, and closes by Escape or a press beside it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export function Menu({ name, kind = '', children }: { name: string; kind?: string; children: ComponentChildren }) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const within = event.target instanceof Node && menu.current?.contains(event.target);
      if (!menu.current?.open || (within && event.type === 'pointerdown')) return;
      if (event instanceof KeyboardEvent) {
        if (event.key !== 'Escape') return;
        menu.current.querySelector('summary')?.focus();
      }
      menu.current.open = false;
    };
    for (const type of ['pointerdown', 'keydown']) addEventListener(type, close, true);
    return () => {
      for (const type of ['pointerdown', 'keydown']) removeEventListener(type, close, true);
    };
  }, []);
  return (
    <details class={`menu ${kind}`} ref={menu}>
      <summary>{name}</summary>
      <div class="menu-body">{children}</div>
    </details>
  );
}
