import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { oidc } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(oidc, vectors);
