/** What a scraper reads (Prometheus text format): exchanges by rate, errors and duration, and the ages and depths behind them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { OAuthError } from '../../core/error.ts';
import type { Exchange } from '../../core/exchange.ts';
import type { IntrospectionOutcome } from '../../core/introspect.ts';
import type { Clock, StoredKey } from '../../core/ports.ts';

/** Where keys of others come from, as far as a scraper is concerned. */
export interface SourceReading {
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly ageSeconds?: number;
}

/** Read when somebody scrapes. */
export interface MetricSources {
  readonly clock: Clock;
  readonly policyRevision: () => number;
  readonly signingKeys: () => readonly StoredKey[];
  readonly keySources: () => readonly SourceReading[];
  /** When revocations were last read; undefined before the first time. */
  readonly revocationsReadAt: () => number | undefined;
  /** Absent where there is no spool. */
  readonly spool?:
    | (() => { readonly isSpooling: boolean; readonly events: number; readonly bytes: number })
    | undefined;
}

export interface Metrics {
  /** The same exchange, counted and timed. */
  measure(exchange: Exchange): Exchange;
  countIntrospection(outcome: IntrospectionOutcome): void;
  /** One answer to a proxy. The resource is the name of a document, undefined where there is none. */
  countForwardAuth(resource: string | undefined, refusal: OAuthError | undefined): void;
  readonly contentType: string;
  text(): Promise<string>;
}

const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/**
 * Labels are our own words and the names of documents, never a caller's: whoever calls could otherwise make as many
 * series as there are strings.
 */
export function openMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const exchanges = new Counter({
    name: 'mintmark_exchanges_total',
    help: 'Attempts to get a token, by outcome and reason; reason is empty where a token was issued.',
    labelNames: ['outcome', 'reason'] as const,
    registers,
  });
  const forwardAuths = new Counter({
    name: 'mintmark_forward_auth_total',
    help: 'Answers to proxies, by resource, outcome and reason; resource is empty where the path names none.',
    labelNames: ['resource', 'outcome', 'reason'] as const,
    registers,
  });
  const durations = new Histogram({
    name: 'mintmark_exchange_duration_seconds',
    help: 'From the request as read to the answer as recorded.',
    labelNames: ['outcome'] as const,
    buckets: durationBuckets,
    registers,
  });
  const introspections = new Counter({
    name: 'mintmark_introspections_total',
    help: 'Introspections by outcome; hidden: a good token that is not for the caller to know.',
    labelNames: ['outcome'] as const,
    registers,
  });
  const inFlight = new Gauge({
    name: 'mintmark_exchanges_in_flight',
    help: 'Attempts under way.',
    registers,
  });

  gauge('mintmark_policy_revision', 'The policy revision in force here.', [], (set) =>
    set({}, sources.policyRevision()),
  );
  gauge('mintmark_signing_key_age_seconds', 'How long the signing key has signed.', ['algorithm'], (set) => {
    for (const { algorithm, state, activatesAt } of sources.signingKeys()) {
      if (state === 'active') set({ algorithm }, (sources.clock.now() - activatesAt) / 1000);
    }
  });
  gauge(
    'mintmark_key_source_age_seconds',
    'Since the keys of an Issuer or TrustDomain were last fetched; absent where they stand in the document.',
    ['kind', 'name'],
    (set) => {
      for (const { kind, name, ageSeconds } of sources.keySources()) {
        if (ageSeconds !== undefined) set({ kind, name }, ageSeconds);
      }
    },
  );
  gauge(
    'mintmark_key_source_usable',
    '1 where tokens of an Issuer or TrustDomain can be verified now, else 0.',
    ['kind', 'name'],
    (set) => {
      for (const { kind, name, state } of sources.keySources()) {
        set({ kind, name }, state === 'unavailable' || state === 'pending' ? 0 : 1);
      }
    },
  );
  gauge(
    'mintmark_revocations_age_seconds',
    'Since this replica last read the revocations; it may lack those made after.',
    [],
    (set) => {
      const readAt = sources.revocationsReadAt();
      if (readAt !== undefined) set({}, (sources.clock.now() - readAt) / 1000);
    },
  );
  const { spool } = sources;
  if (spool !== undefined) {
    gauge('mintmark_audit_spool_events', 'Audit events on disk that the database may lack.', [], (set) =>
      set({}, spool().events),
    );
    gauge('mintmark_audit_spool_bytes', 'Bytes of the audit spool.', [], (set) => set({}, spool().bytes));
    gauge('mintmark_audit_spooling', '1 while audit events go to disk, else 0.', [], (set) =>
      set({}, spool().isSpooling ? 1 : 0),
    );
  }

  /** A gauge that is read when scraped; what is no longer there leaves no series behind. */
  function gauge(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (set: (labels: Record<string, string>, value: number) => void) => void,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers,
      collect() {
        this.reset();
        read((labels, value) => this.set(labels, value));
      },
    });
  }

  return {
    measure: (exchange) => async (attempt) => {
      const stop = durations.startTimer();
      inFlight.inc();
      const count = (outcome: string, reason: string) => {
        exchanges.inc({ outcome, reason });
        stop({ outcome });
        inFlight.dec();
      };
      try {
        const token = await exchange(attempt);
        count('permitted', '');
        return token;
      } catch (error) {
        const refusal = OAuthError.from(error);
        count(refusal.isOurFault ? 'failed' : 'refused', refusal.reason);
        throw error;
      }
    },
    countIntrospection: (outcome) => introspections.inc({ outcome }),
    countForwardAuth: (resource = '', refusal) => {
      const outcome = refusal === undefined ? 'permitted' : refusal.isOurFault ? 'failed' : 'refused';
      forwardAuths.inc({ resource, outcome, reason: refusal?.reason ?? '' });
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
