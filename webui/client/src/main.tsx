import './style.css';
import { type ComponentType, render } from 'preact';
import { lazy } from './lazy';
import { address, followLinks } from './route';
import { Empty } from './states';
import { WorklistPage } from './worklist/page';

const ReaderPage = lazy(async () => (await import('./reader/page')).ReaderPage);
const OperationsPage = lazy(async () => (await import('./operations/page')).OperationsPage);
const UploadPage = lazy(async () => (await import('./upload/page')).UploadPage);

const PAGES: readonly (readonly [string, string, ComponentType])[] = [
  ['/', 'Worklist', WorklistPage],
  ['/upload', 'Upload', UploadPage],
  ['/operations', 'Operations', OperationsPage],
];

function App() {
  const path = address.value.split('?')[0] ?? '/';
  const Page = PAGES.find(([to]) => to === path)?.[2] ?? NoPage;
  const study = /^\/studies\/([0-9.]+)$/.exec(path)?.[1];
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="site">
        <a class="brand" href="/">
          <img src="/static/icon.svg" alt="" width="22" height="22" /> <span class="brand-name">Isocenter</span>
        </a>
        <nav aria-label="Pages">
          {PAGES.map(([to, name]) => (
            <a key={to} href={to} aria-current={path === to ? 'page' : undefined}>
              {name}
            </a>
          ))}
          <a href="/docs">Interface</a>
        </nav>
      </header>
      <main id="main" tabIndex={-1} class={study ? 'reading' : ''}>
        {study ? <ReaderPage key={study} study={study} /> : <Page />}
      </main>
    </>
  );
}

function NoPage() {
  return (
    <Empty title="There is no such page">
      <p>
        <a href="/">To the worklist</a>
      </p>
    </Empty>
  );
}

document.addEventListener('click', followLinks);
const root = document.getElementById('app');
if (root) render(<App />, root);
