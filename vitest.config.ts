/** Three groups of tests: `unit` needs nothing, `http` an embedded store at most, `services` real PostgreSQL and Redis. */
import { defineConfig } from 'vitest/config';

const shared = {
  environment: 'node',
  restoreMocks: true,
  testTimeout: 30_000,
  hookTimeout: 120_000,
} as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts', 'test/*.test.ts'],
        },
      },
      { test: { ...shared, name: 'http', include: ['test/http/**/*.test.ts', 'test/hostile/**/*.test.ts'] } },
      {
        test: {
          ...shared,
          name: 'services',
          include: ['test/contract/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/services.ts'],
        },
      },
    ],
  },
});
