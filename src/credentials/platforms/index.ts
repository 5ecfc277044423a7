/** The platforms whose tokens can be registered: one line each. */
import type { Platform } from '../../core/platform.ts';
import { awsCallerIdentity } from './aws-caller-identity/index.ts';
import { awsInstanceIdentity } from './aws-instance-identity/index.ts';
import { awsWebIdentity } from './aws-web-identity/index.ts';
import { azure } from './azure/index.ts';
import { azureDevops } from './azure-devops/index.ts';
import { bitbucket } from './bitbucket/index.ts';
import { buildkite } from './buildkite/index.ts';
import { circleci } from './circleci/index.ts';
import { customerKey } from './customer-key/index.ts';
import { denoDeploy } from './deno-deploy/index.ts';
import { fly } from './fly/index.ts';
import { githubActions } from './github-actions/index.ts';
import { gitlabCi } from './gitlab-ci/index.ts';
import { google } from './google/index.ts';
import { kubernetes } from './kubernetes/index.ts';
import { modal } from './modal/index.ts';
import { nomad } from './nomad/index.ts';
import { oidc } from './oidc/index.ts';
import { spacelift } from './spacelift/index.ts';
import { terraformCloud } from './terraform-cloud/index.ts';
import { vercel } from './vercel/index.ts';

export const platforms: readonly Platform[] = [
  awsCallerIdentity,
  awsInstanceIdentity,
  awsWebIdentity,
  azure,
  azureDevops,
  bitbucket,
  buildkite,
  circleci,
  customerKey,
  denoDeploy,
  fly,
  githubActions,
  gitlabCi,
  google,
  kubernetes,
  modal,
  nomad,
  oidc,
  spacelift,
  terraformCloud,
  vercel,
];
