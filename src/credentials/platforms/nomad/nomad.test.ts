import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { nomad } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(nomad, vectors);
