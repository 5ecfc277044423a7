import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { kubernetes } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(kubernetes, vectors);
