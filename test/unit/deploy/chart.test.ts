/** The Helm chart: what it renders to under several values, and what it refuses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { apiProblems, type Chart, chartFolder, type Manifest, openChart } from '../../support/chart.ts';

const needed = { issuer: 'https://sts.example', secret: { name: 'mintmark' } };
const everything = {
  ...needed,
  trustDomain: 'prod.example',
  trustedProxies: '10.0.0.0/8',
  environment: { MINTMARK_KEY_ROTATION: '15d', MINTMARK_AUDIT_ON_OUTAGE: 'deny' },
  secret: { name: 'mintmark', exchangeDatabaseUrlKey: 'EXCHANGE', adminTokenKey: 'ADMIN' },
  policyConfigMap: 'policy',
  data: { existingClaim: 'spool' },
  image: { repository: 'registry.example/mintmark', tag: '9.9.9' },
  imagePullSecrets: [{ name: 'pull' }],
  extraVolumes: [{ name: 'hsm', emptyDir: {} }],
  extraVolumeMounts: [{ name: 'hsm', mountPath: '/opt/hsm', readOnly: true }],
  autoscaling: { enabled: false },
  replicas: 5,
  nodeSelector: { disk: 'ssd' },
  tolerations: [{ key: 'dedicated', operator: 'Exists' }],
  affinity: { podAntiAffinity: {} },
  podAnnotations: { team: 'identity' },
  priorityClassName: 'system',
  ingress: {
    enabled: true,
    className: 'nginx',
    host: 'sts.example',
    tlsSecret: 'tls',
    annotations: { a: 'b' },
  },
  networkPolicy: { ingressFrom: [{ namespaceSelector: { matchLabels: { team: 'edge' } } }] },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
};
const custom = ['ServiceMonitor', 'PrometheusRule'];

let chart: Chart;
beforeAll(() => {
  chart = openChart();
});
afterAll(() => chart?.close());

const kindsOf = (manifests: readonly Manifest[]) => manifests.map(({ kind }) => kind).sort();
const one = (manifests: readonly Manifest[], kind: string) => {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  expect(found, kind).toHaveLength(1);
  return found[0] as Manifest;
};
const schema = JSON.parse(readFileSync(join(chartFolder, 'values.schema.json'), 'utf8'));

describe('what it renders', () => {
  it('with as few values as it can', async () => {
    const { manifests, notes } = await chart.render(needed);
    expect(kindsOf(manifests)).toEqual([
      ...['Deployment', 'HorizontalPodAutoscaler', 'Job', 'NetworkPolicy', 'PodDisruptionBudget'],
      ...['Service', 'ServiceAccount'],
    ]);
    expect(manifests.flatMap(apiProblems)).toEqual([]);
    expect(notes).toContain('https://sts.example');
    expect(notes).toContain('emptyDir');
    expect(one(manifests, 'Deployment').spec).not.toHaveProperty('replicas'); // the autoscaler's to say
  });

  it('with all of them', async () => {
    const { manifests, notes } = await chart.render(everything);
    expect(kindsOf(manifests)).toEqual([
      ...['Deployment', 'Ingress', 'Job', 'NetworkPolicy', 'PodDisruptionBudget', 'PrometheusRule'],
      ...['Service', 'ServiceAccount', 'ServiceMonitor'],
    ]);
    expect(manifests.filter(({ kind }) => !custom.includes(kind)).flatMap(apiProblems)).toEqual([]);
    expect(notes).not.toContain('emptyDir');
    expect(one(manifests, 'Deployment').spec).toMatchObject({
      replicas: 5,
      template: {
        metadata: { annotations: { team: 'identity' } },
        spec: {
          nodeSelector: { disk: 'ssd' },
          volumes: expect.arrayContaining([
            { name: 'data', persistentVolumeClaim: { claimName: 'spool' } },
            { name: 'hsm', emptyDir: {} },
          ]),
        },
      },
    });
    expect(one(manifests, 'ServiceMonitor')).toMatchObject({
      metadata: { labels: { release: 'prometheus' } },
      spec: {
        jobLabel: 'app.kubernetes.io/name',
        endpoints: [{ port: 'http', path: '/metrics', interval: '30s' }],
      },
    });
  });

  it('a pod that cannot harm its node, and ends after its drain', async () => {
    const { manifests } = await chart.render(everything);
    for (const kind of ['Deployment', 'Job']) {
      expect(one(manifests, kind).spec).toMatchObject({
        template: {
          spec: {
            automountServiceAccountToken: false,
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [
              {
                image: 'registry.example/mintmark:9.9.9',
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ['ALL'] },
                },
              },
            ],
          },
        },
      });
    }
    const drain = /drainTimeoutMillis = ([\d_]+)/.exec(readFileSync('src/main.ts', 'utf8'))?.[1];
    const sleep = /setTimeout\(\(\) => \{\}, (\d+)\)/.exec(chart.templates['deployment.yaml'] ?? '')?.[1];
    const needs = (Number(drain?.replaceAll('_', '')) + Number(sleep)) / 1000;
    expect(chart.values.terminationGracePeriodSeconds).toBeGreaterThan(needs);
    expect(schema.properties.terminationGracePeriodSeconds.minimum).toBeGreaterThan(needs);
  });

  it('settings that the server takes', async () => {
    const { manifests } = await chart.render(everything);
    const { spec } = one(manifests, 'Deployment') as never as {
      spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } };
    };
    const secrets: Record<string, string> = {
      DATABASE_URL: 'postgresql://x@y/z',
      MINTMARK_EXCHANGE_DATABASE_URL: 'postgresql://x@y/z',
      REDIS_URL: 'redis://y',
      MINTMARK_KEY_ENCRYPTION_KEY: 'ab'.repeat(32),
      MINTMARK_ADMIN_TOKEN: 'a'.repeat(64),
    };
    const variables = spec.template.spec.containers[0]?.env ?? [];
    expect(
      variables
        .filter(({ value }) => value === undefined)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(Object.keys(secrets).sort());
    const config = readConfig(
      Object.fromEntries(variables.map(({ name, value }) => [name, value ?? secrets[name]])),
    );
    expect(config).toMatchObject({
      issuer: 'https://sts.example',
      trustDomain: 'prod.example',
      trustedProxies: ['10.0.0.0/8'],
      auditOnOutage: 'deny',
      policyPath: '/etc/mintmark/policy',
      listen: { host: '0.0.0.0', port: 8080 },
    });
  });

  it('a Service, budget, policy and monitor that select the replicas, and not the migration', async () => {
    const { manifests } = await chart.render(everything);
    const { spec } = one(manifests, 'Deployment') as never as {
      spec: { selector: { matchLabels: object }; template: { metadata: { labels: object } } };
    };
    const { matchLabels } = spec.selector;
    expect(spec.template.metadata.labels).toMatchObject(matchLabels);
    expect(one(manifests, 'Service')).toMatchObject({ spec: { selector: matchLabels } });
    expect(one(manifests, 'Service').metadata.labels).toMatchObject(matchLabels);
    expect(one(manifests, 'NetworkPolicy')).toMatchObject({ spec: { podSelector: { matchLabels } } });
    for (const kind of ['PodDisruptionBudget', 'ServiceMonitor']) {
      expect(one(manifests, kind)).toMatchObject({ spec: { selector: { matchLabels } } });
    }
    const job = one(manifests, 'Job');
    expect(job).not.toMatchObject({ spec: { template: { metadata: { labels: matchLabels } } } });
    expect(job.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade' });
  });

  it('the alert rules as they are tested', async () => {
    const rules = readFileSync('deploy/prometheus/rules.yaml', 'utf8');
    expect(readFileSync(join(chartFolder, 'files/rules.yaml'), 'utf8')).toBe(rules);
    const { manifests } = await chart.render(everything);
    const { groups } = one(manifests, 'PrometheusRule').spec as never as { groups: { rules: object[] }[] };
    expect(groups[0]?.rules).toHaveLength(rules.match(/- alert:/g)?.length ?? 0);
  });

  it('no manifest that the types would not notice to be wrong', async () => {
    const { manifests } = await chart.render(needed);
    const deployment = one(manifests, 'Deployment');
    expect(apiProblems({ ...deployment, spec: { replica: 1 } })).toEqual([
      'Deployment.spec.replica: is no field of V1DeploymentSpec',
    ]);
    expect(apiProblems({ ...deployment, spec: { replicas: '1' } })).toEqual([
      'Deployment.spec.replicas: is not number',
    ]);
  });
});

describe('what it refuses', () => {
  it.each([
    [{}, /secret\.name is required/],
    [{ secret: { name: 'x' } }, /issuer is required/],
    [{ ...needed, ingress: { enabled: true } }, /ingress\.host is required/],
  ])('to render %j', async (values, complaint) => {
    await expect(chart.render(values)).rejects.toThrow(complaint);
  });

  const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
  const problemsOf = (values: object) => {
    validate(values);
    return validate.errors?.map(({ instancePath, keyword }) => `${instancePath} ${keyword}`) ?? [];
  };

  it('no value of its own', () => {
    expect(problemsOf(chart.values)).toEqual([]);
  });

  it.each([
    [{ replica: 2 }, ' additionalProperties'],
    [{ autoscaling: { enable: true } }, '/autoscaling additionalProperties'],
    [{ issuer: 'http://sts.example' }, '/issuer pattern'],
    [{ issuer: 'https://sts.example/' }, '/issuer pattern'],
    [{ terminationGracePeriodSeconds: 20 }, '/terminationGracePeriodSeconds minimum'],
    [{ environment: { MINTMARK_ADMIN_TOKEN: 'in the open' } }, '/environment not'],
    [{ environment: { DATABASE_URL: 'in the open' } }, '/environment pattern'],
  ])('%j by its schema', (values, problem) => {
    expect(problemsOf({ ...chart.values, ...values })).toContain(problem);
  });
});

describe('values.yaml', () => {
  /** `image.tag`, `replicas`, …: down to what the schema leaves open. */
  const pathsOf = (node: { properties?: Record<string, object> }, path = ''): string[] =>
    node.properties === undefined
      ? [path]
      : Object.entries(node.properties).flatMap(([key, child]) => pathsOf(child, `${path}.${key}`));
  const paths = pathsOf(schema).filter((path) => path !== '.global');

  it('has every key of the schema, and each is used by a template', () => {
    const text = Object.values(chart.templates).join('\n');
    for (const path of paths) {
      const value = path
        .slice(1)
        .split('.')
        .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], chart.values);
      expect(value, path).toBeDefined();
      const used = path.startsWith('.resources.') ? '.resources' : path;
      expect(text, path).toMatch(new RegExp(`\\.Values${used.replaceAll('.', '\\.')}\\b`));
    }
    expect(paths.length).toBeGreaterThan(40);
  });

  it('has every key that a template uses', () => {
    const used = Object.values(chart.templates).flatMap((text) => text.match(/(?<=\.Values)[.\w]+/g) ?? []);
    expect(used.filter((path) => !paths.some((known) => `${known}.`.startsWith(`${path}.`)))).toEqual([]);
  });
});
