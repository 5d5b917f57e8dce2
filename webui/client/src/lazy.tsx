/** A component that is loaded when it is first shown. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Failure, Waiting } from './states';

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const [, update] = useState(0);
    const [error, setError] = useState<unknown>(null);
    useEffect(() => {
      if (loaded) return;
      load().then((component) => {
        loaded = component;
        update(1);
      }, setError);
    }, []);
    if (error) return <Failure error={new Error('A part of this page could not be loaded. Load the page again.')} />;
    if (!loaded) return <Waiting what="Loading" />;
    const Component = loaded;
    return <Component {...props} />;
  };
}
