import { describeVectors } from '../../../../test/support/tokens-vectors.ts';
import { spacelift } from './index.ts';
import vectors from './vectors.json' with { type: 'json' };

describeVectors(spacelift, vectors);
