import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { githubActions } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(githubActions, vectors);
