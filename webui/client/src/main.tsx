import './style.css';
import { render } from 'preact';
import { lazy } from './lazy';
import { address, followLinks } from './route';
import { Empty } from './states';
import { WorklistPage } from './worklist/page';

const ReaderPage = lazy(async () => (await import('./reader/page')).ReaderPage);

function App() {
  const path = address.value.split('?')[0] ?? '/';
  const study = /^\/studies\/([0-9.]+)$/.exec(path)?.[1];
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="site">
        <a class="brand" href="/">
          <img src="/static/icon.svg" alt="" width="22" height="22" /> Isocenter
        </a>
        <nav aria-label="Pages">
          <a href="/" aria-current={path === '/' ? 'page' : undefined}>
            Worklist
          </a>
          <a href="/docs">Interface</a>
        </nav>
      </header>
      <main id="main" tabIndex={-1} class={study ? 'reading' : ''}>
        {study ? <ReaderPage key={study} study={study} /> : path === '/' ? <WorklistPage /> : <NoPage />}
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
