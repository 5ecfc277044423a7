/** The platforms whose tokens can be registered: one line each. */
import type { Platform } from '../../core/platform.ts';
import { azureDevops } from './azure-devops/index.ts';
import { bitbucket } from './bitbucket/index.ts';
import { buildkite } from './buildkite/index.ts';
import { circleci } from './circleci/index.ts';
import { fly } from './fly/index.ts';
import { githubActions } from './github-actions/index.ts';
import { gitlabCi } from './gitlab-ci/index.ts';
import { kubernetes } from './kubernetes/index.ts';
import { nomad } from './nomad/index.ts';
import { oidc } from './oidc/index.ts';
import { spacelift } from './spacelift/index.ts';
import { terraformCloud } from './terraform-cloud/index.ts';
import { vercel } from './vercel/index.ts';

export const platforms: readonly Platform[] = [
  azureDevops, //
  bitbucket,
  buildkite,
  circleci,
  fly,
  githubActions,
  gitlabCi,
  kubernetes,
  nomad,
  oidc,
  spacelift,
  terraformCloud,
  vercel,
];
