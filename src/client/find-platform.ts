/** Which platform this is: the first of a fixed order that recognises itself. */
import { awsCallerIdentity } from './aws.ts';
import * as held from './environment-platforms.ts';
import { azure, fly, google, kubernetes } from './metadata-platforms.ts';
import { azureDevops, buildkite, circleci, githubActions } from './pipeline-platforms.ts';
import { type ClientPlatform, NoCredential, type Surroundings } from './platform.ts';

/**
 * Pipelines and functions before the machines below them: a job on a Kubernetes runner is the job, and a pod on
 * Google's machine is the pod. AWS is last, since its variables are found on other platforms too, for a bucket.
 */
const clientPlatforms: readonly ClientPlatform[] = [
  githubActions,
  held.gitlabCi,
  circleci,
  held.bitbucket,
  buildkite,
  azureDevops,
  held.terraformCloud,
  held.spacelift,
  held.vercel,
  held.modal,
  held.nomad,
  fly,
  kubernetes,
  google,
  azure,
  awsCallerIdentity,
];

/** The platform of that name, or with `auto` the first that is found. Throws `NoCredential` and says what there is. */
export async function findPlatform(surroundings: Surroundings, name: string): Promise<ClientPlatform> {
  if (name === 'auto') return detected(surroundings);
  const named = clientPlatforms.find(({ platform }) => platform === name);
  if (named !== undefined) return named;
  const names = clientPlatforms.map(({ platform }) => platform);
  throw new NoCredential(`there is no platform ${JSON.stringify(name)}; there is auto, ${names.join(', ')}`);
}

/** Asks the network only where variables and files say nothing, and then all at once: the wait is that of one. */
async function detected(surroundings: Surroundings): Promise<ClientPlatform> {
  for (const candidate of clientPlatforms) {
    if (await candidate.detect(surroundings)) return candidate;
  }
  const answers = await Promise.all(clientPlatforms.map((candidate) => candidate.probe?.(surroundings)));
  const found = clientPlatforms.find((_candidate, index) => answers[index]);
  if (found !== undefined) return found;
  const looked = clientPlatforms.map(({ platform, looksFor }) => `\n  ${platform}: ${looksFor}`);
  throw new NoCredential(`no platform was found; looked, in this order, for${looked.join('')}`);
}
