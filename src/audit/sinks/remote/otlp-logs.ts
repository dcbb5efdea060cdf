import type { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { VERSION } from '../../../model/version.ts';
import { lineHead } from '../../reader.ts';

const LF = 10;

/** Severities of OpenTelemetry (Logs Data Model, "Severity"). */
const INFO = 9;
const WARN = 13;
const ERROR = 17;

/** A log record as the serializer takes it. */
type LogRecord = Parameters<typeof ProtobufLogsSerializer.serializeRequest>[0][number];

/** What encodes records for a collector. */
export interface Otlp {
	readonly resource: LogRecord['resource'];
	readonly scope: { readonly name: string; readonly version: string };
	encode(records: readonly LogRecord[]): Uint8Array;
	/** How many records an answer says were rejected, although others were taken. */
	rejected(answer: Uint8Array): number;
}

/** Loads the encoder, which takes memory that a sidecar without such a sink does not need. */
export async function openOtlp(instance: string): Promise<Otlp> {
	const [{ ProtobufLogsSerializer }, { resourceFromAttributes }] = await Promise.all([
		import('@opentelemetry/otlp-transformer'),
		import('@opentelemetry/resources'),
	]);
	return {
		resource: resourceFromAttributes({
			'service.name': 'sallyport',
			'service.version': VERSION,
			'service.instance.id': instance,
		}),
		scope: { name: 'sallyport.audit', version: VERSION },
		encode: records => ProtobufLogsSerializer.serializeRequest([...records]) ?? new Uint8Array(),
		rejected(answer) {
			try {
				return Number(ProtobufLogsSerializer.deserializeResponse(answer).partialSuccess?.rejectedLogRecords ?? 0);
			} catch {
				// Some servers answer 200 with something of their own.
				return 0;
			}
		},
	};
}

/** A log record for each line: its body is the line, byte for byte, by which its hash can be checked. */
export function logsOf(lines: Buffer, { resource, scope }: Pick<Otlp, 'resource' | 'scope'>): LogRecord[] {
	const records: LogRecord[] = [];
	for (let at = 0; at < lines.length; ) {
		const lf = lines.indexOf(LF, at);
		const line = lines.subarray(at, lf);
		at = lf + 1;
		const head = lineHead(line);
		const type = head?.type ?? 'unreadable';
		const time = hrTime(head?.timestamp);
		const [severityNumber, severityText] = severityOf(type, head?.verdict);
		records.push({
			hrTime: time,
			hrTimeObserved: time,
			severityNumber,
			severityText,
			eventName: `sallyport.${type}`,
			body: line.toString('utf8'),
			attributes: {
				'sallyport.type': type,
				...(head === undefined ? {} : { 'sallyport.chain': head.chain, 'sallyport.seq': head.seq }),
				...(head?.decisionId === undefined ? {} : { 'sallyport.decision_id': head.decisionId }),
				...(head?.verdict === undefined ? {} : { 'sallyport.verdict': head.verdict }),
			},
			droppedAttributesCount: 0,
			resource,
			instrumentationScope: scope,
		});
	}
	return records;
}

function hrTime(timestamp: string | undefined): [number, number] {
	const milliseconds = Date.parse(timestamp ?? '') || 0;
	return [Math.floor(milliseconds / 1000), (milliseconds % 1000) * 1_000_000];
}

function severityOf(type: string, verdict: string | undefined): [number, string] {
	if (type === 'gap') return [ERROR, 'ERROR'];
	return verdict === 'deny' || verdict === 'ask' ? [WARN, 'WARN'] : [INFO, 'INFO'];
}
