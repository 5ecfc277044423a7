/** Every metric that an alert, the dashboard or a page names is one that a real server answers with. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploy } from '../support/deployment.ts';
import { type Story, startStory } from '../support/story.ts';

/** Prometheus' own, and what its client library makes of a histogram. */
const suffixes = /_(bucket|sum|count)$/;
const namePattern = /\b(?:mintmark|nodejs|process)_[a-z0-9_]+[a-z0-9]\b/g;
const files = [
  'deploy/prometheus/rules.yaml',
  'deploy/prometheus/rules.test.yaml',
  'deploy/grafana/mintmark.json',
  'docs/operations.md',
  'docs/runbook.md',
];

let story: Story;
let served: ReadonlySet<string>;
beforeAll(async () => {
  story = await startStory(await deploy('PostgreSQL', 'Redis'));
  const text = await (await fetch(`${story.server.url}/metrics`)).text();
  served = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name));
});
afterAll(() => story?.close());

test.each(files)('%s', (file) => {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  const named = new Set(text.match(namePattern));
  expect(named.size).toBeGreaterThan(3);
  const unknown = [...named].filter((name) => !served.has(name) && !served.has(name.replace(suffixes, '')));
  expect(unknown).toEqual([]);
});

test('the dashboard asks for our metrics and for nobody else’s', () => {
  const text = readFileSync(new URL('../../deploy/grafana/mintmark.json', import.meta.url), 'utf8');
  const { panels }: { panels: { title: string; targets: { expr: string }[] }[] } = JSON.parse(text);
  expect(panels.length).toBeGreaterThan(10);
  for (const { title, targets } of panels) {
    for (const { expr } of targets) expect(expr.match(namePattern), title).not.toBeNull();
  }
  const ours = [...served].filter((name) => name.startsWith('mintmark_'));
  expect(ours.filter((name) => !text.includes(name))).toEqual([]); // and shows each of them
});
