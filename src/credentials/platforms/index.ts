/** The platforms whose tokens can be registered: one line each. */
import type { Platform } from '../../core/platform.ts';
import { awsCallerIdentity } from './aws-caller-identity/index.ts';
import { awsWebIdentity } from './aws-web-identity/index.ts';
import { azure } from './azure/index.ts';
import { customerKey } from './customer-key/index.ts';
import { denoDeploy } from './deno-deploy/index.ts';
import { githubActions } from './github-actions/index.ts';
import { google } from './google/index.ts';
import { kubernetes } from './kubernetes/index.ts';
import { modal } from './modal/index.ts';
import { oidc } from './oidc/index.ts';

export const platforms: readonly Platform[] = [
  githubActions, //
  kubernetes,
  oidc,
  awsCallerIdentity,
  awsWebIdentity,
  google,
  azure,
  customerKey,
  modal,
  denoDeploy,
];
