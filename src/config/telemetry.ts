import * as z from 'zod';
import { type FieldCredential, fieldCredential } from './credential.ts';
import { duration } from './values.ts';

/** What Sallyport tells of itself beside metrics and records: `telemetry`. */

const otlp = z.strictObject({
	url: z
		.string()
		.max(2048)
		.regex(/^https?:\/\//, 'a URL that begins with https:// or http://')
		.describe('Where spans are sent: OTLP over HTTP, as JSON. `http://` without credentials only.'),
	credential: fieldCredential.optional().describe('What Sallyport shows it: one of the keys below.'),
	roots: z
		.string()
		.min(1)
		.optional()
		.describe("PEM CAs that the server's certificate is judged by; the system's roots when absent."),
	timeout: duration.default(10_000).describe('Time for one request.'),
});

export const telemetry = z.strictObject({
	metrics: z
		.strictObject({
			agents: z
				.number()
				.int()
				.nonnegative()
				.max(10_000)
				.default(0)
				.describe(
					'How many agents have a label `agent` of their own in `sallyport_calls_total` and `sallyport_outcomes_total`; all others share `other`. With 0 there is no such label.',
				),
		})
		.prefault({})
		.describe('What is counted by what.'),
	traces: z
		.strictObject({
			otlp: otlp.describe('An OpenTelemetry collector.'),
			sample: z
				.number()
				.min(0)
				.max(1)
				.default(1)
				.describe('Which share of the traces that begin here is kept; those that go on are kept as their parent says.'),
		})
		.optional()
		.describe('A span for each call, and `traceparent` passed on with it; none when absent.'),
});

export type TelemetryConfig = z.output<typeof telemetry>;

/** With absolute paths. */
export function telemetryAt(
	{ traces, metrics }: TelemetryConfig,
	at: (path: string) => string,
	credentialAt: (credential: FieldCredential) => FieldCredential,
): TelemetryConfig {
	if (traces === undefined) return { metrics };
	const { roots, credential, ...rest } = traces.otlp;
	return {
		metrics,
		traces: {
			...traces,
			otlp: {
				...rest,
				...(roots === undefined ? {} : { roots: at(roots) }),
				...(credential === undefined ? {} : { credential: credentialAt(credential) }),
			},
		},
	};
}
