/** Which platform this is: the first of a fixed order that recognises itself. */
import * as held from './environment-platforms.ts';
import { azureAppService, google, kubernetes } from './metadata-platforms.ts';
import { azureDevops, githubActions } from './pipeline-platforms.ts';
import { type ClientPlatform, NoCredential, type Surroundings } from './platform.ts';

/**
 * Pipelines and functions before the machines below them: a job on a Kubernetes runner is the job, and a pod on
 * Google's machine is the pod. The one that asks the network is last.
 */
const clientPlatforms: readonly ClientPlatform[] = [
  githubActions,
  held.gitlabCi,
  held.circleci,
  held.bitbucket,
  azureDevops,
  held.terraformCloud,
  held.spacelift,
  held.vercel,
  held.modal,
  held.nomad,
  kubernetes,
  azureAppService,
  google,
];

/** The platform of that name, or with `auto` the first that is found. Throws `NoCredential` and says what there is. */
export async function findPlatform(surroundings: Surroundings, name: string): Promise<ClientPlatform> {
  for (const candidate of clientPlatforms) {
    const isIt = name === 'auto' ? await candidate.detect(surroundings) : candidate.platform === name;
    if (isIt) return candidate;
  }
  if (name === 'auto') {
    const looked = clientPlatforms.map(({ platform, looksFor }) => `\n  ${platform}: ${looksFor}`);
    throw new NoCredential(`no platform was found; looked, in this order, for${looked.join('')}`);
  }
  const names = clientPlatforms.map(({ platform }) => platform);
  throw new NoCredential(`there is no platform ${JSON.stringify(name)}; there is auto, ${names.join(', ')}`);
}
