/** The Helm chart as its templates render it, by Go's own template engine, and what the Kubernetes API would take of that. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as kubernetes from '@kubernetes/client-node';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';

export const chartFolder = join(import.meta.dirname, '../../deploy/helm/mintmark');
const program = join(import.meta.dirname, 'render-chart.go');

const manifestSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
export type Manifest = z.infer<typeof manifestSchema>;
type Values = Record<string, unknown>;

export interface Chart {
  readonly values: Values;
  /** The text of every template, by its path. */
  readonly templates: Readonly<Record<string, string>>;
  /** Rejects with the complaint of a template. Values are merged into the chart's own, as Helm merges them. */
  render(values: Values): Promise<{ readonly manifests: readonly Manifest[]; readonly notes: string }>;
  close(): void;
}

/** Compiles the renderer. */
export function openChart(): Chart {
  const folder = mkdtempSync(join(tmpdir(), 'mintmark-chart-'));
  const renderer = join(folder, 'render');
  execFileSync('go', ['build', '-o', renderer, program], { env: { ...process.env, GO111MODULE: 'off' } });
  const read = (path: string) => readFileSync(join(chartFolder, path), 'utf8');
  const values: Values = parse(read('values.yaml'));
  const { name, version, appVersion } = z
    .object({ name: z.string(), version: z.string(), appVersion: z.string() })
    .parse(parse(read('Chart.yaml')));
  const templates = Object.fromEntries(
    readdirSync(join(chartFolder, 'templates')).map((file) => [file, read(`templates/${file}`)]),
  );
  return {
    values,
    templates,
    render: async (given) => {
      const output = await runWithInput(renderer, {
        data: {
          Values: merge(values, given),
          Release: { Name: 'prod', Namespace: 'mintmark', Service: 'Helm' },
          Chart: { Name: name, Version: version, AppVersion: appVersion },
        },
        files: { 'files/rules.yaml': read('files/rules.yaml') },
        templates,
      });
      const rendered = z.record(z.string(), z.string()).parse(JSON.parse(output));
      const manifests = Object.entries(rendered)
        .filter(([path]) => path.endsWith('.yaml'))
        .flatMap(([path, text]) => readManifests(path, text));
      return { manifests, notes: rendered['NOTES.txt'] ?? '' };
    },
    close: () => rmSync(folder, { recursive: true }),
  };
}

function readManifests(path: string, text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(`${path}: ${document.errors.join()}\n${text}`);
    const value: unknown = document.toJS();
    return value === null ? [] : [manifestSchema.parse(value)];
  });
}

const isObject = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function merge(base: Values, over: Values): Values {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isObject(old) && isObject(value) ? merge(old, value) : value;
  }
  return merged;
}

function runWithInput(command: string, input: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr)),
    );
    child.stdin?.end(JSON.stringify(input));
  });
}

const attributeSchema = z.array(z.object({ baseName: z.string(), type: z.string() }));

/** What the Kubernetes API would not take, by the types of its client: fields that it does not know, and values of another type. */
export function apiProblems({ apiVersion, kind, ...rest }: Manifest): readonly string[] {
  const version = apiVersion.split('/').at(-1) ?? '';
  const model = `${version[0]?.toUpperCase()}${version.slice(1)}${kind}`;
  return problemsOf({ apiVersion, kind, ...rest }, model, kind);
}

function problemsOf(value: unknown, type: string, path: string): readonly string[] {
  const wrong = [`${path}: is not ${type}`];
  const list = /^Array<(.+)>$/.exec(type)?.[1];
  if (list !== undefined) {
    if (!Array.isArray(value)) return wrong;
    return value.flatMap((item, index) => problemsOf(item, list, `${path}[${index}]`));
  }
  const member = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (member !== undefined) {
    if (!isObject(value)) return wrong;
    return Object.entries(value).flatMap(([key, item]) => problemsOf(item, member, `${path}.${key}`));
  }
  if (type === 'string' || type === 'number' || type === 'boolean') return typeof value === type ? [] : wrong;
  if (type === 'IntOrString') return ['number', 'string'].includes(typeof value) ? [] : wrong;
  const attributes = attributesOf(type);
  if (!isObject(value)) return wrong;
  return Object.entries(value).flatMap(([key, item]) => {
    const attribute = attributes.find(({ baseName }) => baseName === key);
    if (attribute === undefined) return [`${path}.${key}: is no field of ${type}`];
    return problemsOf(item, attribute.type, `${path}.${key}`);
  });
}

function attributesOf(type: string) {
  const model: unknown = Reflect.get(kubernetes, type);
  if (typeof model !== 'function') throw new Error(`no type ${type}`);
  return attributeSchema.parse(Reflect.get(model, 'attributeTypeMap'));
}
