import { readFile } from 'node:fs/promises';
import type { Agent } from 'node:http';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { Attributes, SpanContext } from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { traceparentOf } from '../formats/traceparent.ts';
import type { Trace, TraceEnd, TraceParent, Tracing } from '../model/ports.ts';
import { VERSION } from '../model/version.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** Spans that wait for the collector; what comes while so many do is not kept. */
const QUEUE = 2048;
const BATCH = 512;
const DELAY_MS = 2000;

/** `telemetry.traces` of the configuration; `C` is a credential as it stands there. */
export interface TracesSettings<C> {
	readonly otlp: {
		readonly url: string;
		readonly credential?: C | undefined;
		/** Path of PEM CAs. */
		readonly roots?: string | undefined;
		/** Milliseconds. */
		readonly timeout: number;
	};
	/** From 0 to 1. */
	readonly sample: number;
}

export interface TracesDeps<C> {
	/** The name of this Sallyport. */
	readonly instance: string;
	readonly credentials: {
		/** The header field that a credential comes to; undefined while it has no valid value. */
		field(credential: C): () => { readonly name: string; readonly value: string } | undefined;
	};
	/** `tls.connect` to servers that may be hostile. */
	connect(options: ConnectionOptions): TLSSocket;
	readonly metrics: Pick<Metrics, 'spans'>;
	readonly log: Pick<Log, 'info' | 'warn'>;
}

export interface OpenTracing extends Tracing {
	/** Sends what waits, for two seconds at most. */
	close(): Promise<void>;
}

/** Loads OpenTelemetry's SDK, which takes memory that a Sallyport without traces does not need. Rejects when `roots` cannot be read. */
export async function openTracing<C>(
	config: TracesSettings<C> | undefined,
	deps: TracesDeps<C>,
): Promise<OpenTracing | undefined> {
	if (config === undefined) return undefined;
	const { otlp, sample } = config;
	const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
		import('@opentelemetry/api'),
		import('@opentelemetry/sdk-trace'),
		import('@opentelemetry/exporter-trace-otlp-http'),
		import('@opentelemetry/resources'),
	]);
	const ca = otlp.roots === undefined ? undefined : await readFile(otlp.roots, 'utf8');
	const field = otlp.credential === undefined ? undefined : deps.credentials.field(otlp.credential);
	let taken = true;
	const exporter = new OTLPTraceExporter({
		url: otlp.url,
		timeoutMillis: otlp.timeout,
		httpAgentOptions: protocol => agentFor(protocol, ca, deps.connect),
		headers: async () => {
			const shown = field?.();
			return shown === undefined ? {} : { [shown.name]: shown.value };
		},
	});
	const counted: SpanExporter = {
		export: (spans, done) =>
			exporter.export(spans, result => {
				const now = result.code === 0;
				deps.metrics.spans.inc({ result: now ? 'taken' : 'lost' }, spans.length);
				// What the server says may hold anything, and stands nowhere.
				if (taken && !now) deps.log.warn({}, 'the collector takes no spans: they are lost');
				else if (!taken && now) deps.log.info({}, 'the collector takes spans again');
				taken = now;
				done(result);
			}),
		shutdown: () => exporter.shutdown(),
		forceFlush: () => exporter.forceFlush(),
	};
	const provider = new sdk.TracerProvider({
		resource: resourceFromAttributes({
			'service.name': 'sallyport',
			'service.version': VERSION,
			'service.instance.id': deps.instance,
		}),
		sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(sample) }),
		spanProcessors: [
			new sdk.BatchSpanProcessor({
				exporter: counted,
				maxQueueSize: QUEUE,
				maxExportBatchSize: BATCH,
				scheduledDelayMillis: DELAY_MS,
				exportTimeoutMillis: otlp.timeout,
			}),
		],
	});
	const tracer = provider.getTracer('sallyport', VERSION);
	const { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } = api;
	const contextOf = ({ traceId, spanId, sampled }: TraceParent) => {
		const flags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
		const parent: SpanContext = { traceId, spanId, traceFlags: flags, isRemote: true };
		return trace.setSpanContext(ROOT_CONTEXT, parent);
	};
	return {
		begin(parent): Trace {
			const options = { kind: SpanKind.CLIENT };
			const span = tracer.startSpan('call', options, parent === undefined ? ROOT_CONTEXT : contextOf(parent));
			const { traceId, spanId, traceFlags } = span.spanContext();
			return {
				traceparent: traceparentOf({ traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 }),
				end(facts) {
					if (span.isRecording()) {
						span.updateName(`${facts.protocol} ${facts.operation}`);
						span.setAttributes(attributesOf(facts));
						if (facts.cause !== 'completed') span.setStatus({ code: SpanStatusCode.ERROR, message: facts.cause });
					}
					span.end();
				},
			};
		},
		async close() {
			let timer: NodeJS.Timeout | undefined;
			const late = new Promise<void>(resolve => {
				timer = setTimeout(resolve, 2000);
			});
			await Promise.race([provider.shutdown().catch(() => {}), late]);
			clearTimeout(timer);
		},
	};
}

/** One connection, which is kept. */
async function agentFor(
	protocol: string,
	ca: string | undefined,
	connect: (options: ConnectionOptions) => TLSSocket,
): Promise<Agent> {
	const options = { keepAlive: true, maxSockets: 1, ...(ca === undefined ? {} : { ca }) };
	const [plain, secure] = await Promise.all([import('node:http'), import('node:https')]);
	if (protocol !== 'https:') return new plain.Agent(options);
	return Object.assign(new secure.Agent(options), { createConnection: (to: ConnectionOptions) => connect(to) });
}

function attributesOf(facts: TraceEnd): Attributes {
	return {
		'sallyport.decision_id': facts.decisionId ?? '',
		'sallyport.verdict': facts.verdict,
		'sallyport.cause': facts.cause,
		'sallyport.agent': facts.agent,
		'sallyport.listener': facts.listener,
		'sallyport.target': facts.target,
		'sallyport.protocol': facts.protocol,
		'sallyport.operation': facts.operation,
		'server.address': facts.host,
		'server.port': facts.port,
		...(facts.status === undefined ? {} : { 'http.response.status_code': facts.status }),
	};
}
