/** The alert rules, as promtool reads and runs them, and the runbook that each alert leads to. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const root = join(import.meta.dirname, '../../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const rules = join(root, 'deploy/prometheus');

const ruleSchema = z.strictObject({
  alert: z.string(),
  expr: z.string(),
  for: z.string(),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
  annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
});
const fileSchema = z.object({ groups: z.tuple([z.object({ rules: z.array(ruleSchema) })]) });
const alerts = fileSchema.parse(parse(read('deploy/prometheus/rules.yaml'))).groups[0].rules;
const runbook = read('docs/runbook.md');
const headings = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, heading]) => heading);

const promtool = (...args: string[]) => spawnSync('promtool', args, { encoding: 'utf8' });

describe('rules.yaml', () => {
  let copy: string;
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'mintmark-rules-'));
    cpSync(rules, copy, { recursive: true });
  });
  afterAll(() => rmSync(copy, { recursive: true }));

  it('is taken by Prometheus', () => {
    const { status, stdout } = promtool('check', 'rules', join(rules, 'rules.yaml'));
    expect(status, stdout).toBe(0);
    expect(stdout).toContain(`${alerts.length} rules found`);
  });

  it('fires, and keeps quiet, as its tests say; they tell a threshold that is off', () => {
    expect(promtool('test', 'rules', join(rules, 'rules.test.yaml')).status).toBe(0);
    writeFileSync(
      join(copy, 'rules.yaml'),
      read('deploy/prometheus/rules.yaml').replace('_age_seconds > 30', '_age_seconds > 3000'),
    );
    const { status, stderr } = promtool('test', 'rules', join(copy, 'rules.test.yaml'));
    expect(status).toBe(1);
    expect(stderr).toContain('MintmarkRevocationsUnread');
  });

  it.each(alerts)('$alert is tested both ways', ({ alert }) => {
    const tests = read('deploy/prometheus/rules.test.yaml');
    expect(tests).toMatch(new RegExp(`alertname: ${alert}, eval_time: \\w+, exp_alerts: \\[\\]`));
    expect(tests).toMatch(
      new RegExp(`alertname: ${alert}\n +eval_time: \\w+\n +exp_alerts:\n +- exp_labels`),
    );
  });
});

describe('docs/runbook.md', () => {
  it('has a section for every alert, in their order, and for nothing else', () => {
    expect(headings).toEqual(alerts.map(({ alert }) => alert));
  });

  it.each(alerts)('$alert leads to its section, which says what to see and what to do', (rule) => {
    expect(rule.annotations.runbook).toBe(`docs/runbook.md#${rule.alert.toLowerCase()}`);
    const section = runbook.split(/^## /m).find((text) => text.startsWith(`${rule.alert}\n`));
    expect(section).toMatch(/^- See/m);
    expect(section).toMatch(/^- (Do|See and do)\b/m);
  });

  it('names commands that there are', () => {
    const named = new Set([...runbook.matchAll(/`mintmark ([a-z]+)(?: ([a-z]+))?/g)].map(([text]) => text));
    expect(named.size).toBeGreaterThan(6);
    const pairs = [...named].map((text) => text.slice('`mintmark '.length).split(' '));
    const groups = Map.groupBy(pairs, ([first]) => first ?? '');
    expect(commandsUnder([])).toEqual(expect.arrayContaining([...groups.keys()]));
    for (const [group, members] of groups) {
      const second = members.flatMap(([, name]) => name ?? []);
      if (second.length > 0) expect(commandsUnder([group])).toEqual(expect.arrayContaining(second));
    }
  });
});

/** As the program's help lists them. */
function commandsUnder(path: readonly string[]): readonly string[] {
  const program = join(root, 'src/cli/mintmark.ts');
  const { stdout } = spawnSync(process.execPath, [program, ...path, '--help'], { encoding: 'utf8' });
  const listed = stdout.split(/^Commands:$/m)[1] ?? '';
  return [...listed.matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);
}
