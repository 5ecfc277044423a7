/** Spans of an exchange, sent to an OpenTelemetry collector: OTLP over HTTP, JSON (OTLP specification 1.3, “OTLP/HTTP”). */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { OAuthError } from '../../core/error.ts';
import type { Exchange } from '../../core/exchange.ts';
import type { AuditSink, Clock, KeyRing, Verify } from '../../core/ports.ts';
import { openSpanQueue, type SpanQueueOptions } from './span-queue.ts';

export interface TraceOptions extends SpanQueueOptions {
  readonly clock: Clock;
  /** Of all exchanges, from 0 to 1. A caller has no say in it. */
  readonly sampledShare: number;
}

/** The parts of an exchange, each with its span. */
export interface Traces {
  exchange(inner: Exchange): Exchange;
  verify(inner: Verify): Verify;
  keyRing(inner: KeyRing): KeyRing;
  audit(inner: AuditSink): AuditSink;
  /** Sends what waits, within a bounded time. */
  close(): Promise<void>;
}

/** One exchange that is under way. */
interface Trace {
  readonly traceId: string;
  readonly rootId: string;
  /** Nanoseconds since the epoch now. */
  readonly now: () => bigint;
  /** From when the decision is being made: the last credential was verified, nothing is signed yet. */
  verifiedAt: bigint | undefined;
}

const internalKind = 1;
const serverKind = 2;
/** W3C Trace Context §3.2; version 00, and neither id all zeros. */
const traceParentPattern = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/;

export function openTraces(options: TraceOptions): Traces {
  const { clock, sampledShare } = options;
  const queue = openSpanQueue(options);
  const underWay = new AsyncLocalStorage<Trace>();

  const beginTrace = (): Trace => {
    const startMillis = clock.now();
    const started = performance.now(); // the wall clock says when, this one how long
    return {
      traceId: randomBytes(16).toString('hex'),
      rootId: randomBytes(8).toString('hex'),
      now: () => BigInt(startMillis) * 1_000_000n + BigInt(Math.round((performance.now() - started) * 1e6)),
      verifiedAt: undefined,
    };
  };
  const addStep = (trace: Trace, name: string, from: bigint, reason?: string) =>
    queue.add({
      traceId: trace.traceId,
      spanId: randomBytes(8).toString('hex'),
      parentSpanId: trace.rootId,
      name,
      kind: internalKind,
      from,
      to: trace.now(),
      reason,
    });
  const inStep = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const trace = underWay.getStore();
    if (trace === undefined) return work();
    const from = trace.now();
    try {
      const result = await work();
      addStep(trace, name, from);
      return result;
    } catch (error) {
      addStep(trace, name, from, OAuthError.from(error).reason);
      throw error;
    }
  };
  const endDecision = () => {
    const trace = underWay.getStore();
    if (trace?.verifiedAt === undefined) return;
    addStep(trace, 'decide', trace.verifiedAt);
    trace.verifiedAt = undefined;
  };

  return {
    exchange: (inner) => async (attempt) => {
      if (randomBytes(4).readUInt32BE() / 2 ** 32 >= sampledShare) return inner(attempt);
      const trace = beginTrace();
      const from = trace.now();
      const end = (outcome: string, reason?: string) => {
        const link = traceParentPattern.exec(attempt.traceParent ?? '');
        queue.add({
          traceId: trace.traceId,
          spanId: trace.rootId,
          name: 'exchange',
          kind: serverKind,
          from,
          to: trace.now(),
          outcome,
          reason,
          requestId: attempt.requestId,
          link: link?.[1] && link[2] ? { traceId: link[1], spanId: link[2] } : undefined,
        });
      };
      try {
        const token = await underWay.run(trace, () => inner(attempt));
        end('permitted');
        return token;
      } catch (error) {
        const { isOurFault, reason } = OAuthError.from(error);
        end(isOurFault ? 'failed' : 'refused', reason);
        throw error;
      }
    },
    verify: (inner) => async (credential, policy, nowMillis) => {
      const trace = underWay.getStore();
      if (trace) trace.verifiedAt = undefined;
      const identity = await inStep('verify', () => inner(credential, policy, nowMillis));
      if (trace) trace.verifiedAt = trace.now();
      return identity;
    },
    keyRing: (inner) => ({
      publicKeys: () => inner.publicKeys(),
      signer: (algorithm) => {
        const signer = inner.signer(algorithm);
        endDecision();
        const { kid, algorithm: used } = signer;
        return { kid, algorithm: used, sign: (input) => inStep('sign', () => signer.sign(input)) };
      },
    }),
    audit: (inner) => ({
      append: (event) => {
        endDecision(); // it was refused: nothing was signed
        return inStep('record', () => inner.append(event));
      },
    }),
    close: () => queue.close(),
  };
}
