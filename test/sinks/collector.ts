import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Fields, fieldsOf, text } from './protobuf.ts';

type Attributes = Readonly<Record<string, string | number>>;

/** A log record as it came. */
export interface Log {
	readonly body: string;
	readonly event: string;
	readonly severity: number;
	/** Nanoseconds since the epoch. */
	readonly time: bigint;
	readonly attributes: Attributes;
	readonly resource: Attributes;
	readonly scope: string;
}

export interface Reply {
	readonly status: number;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: Uint8Array;
}

export interface Collector {
	readonly url: string;
	/** Of all requests that were answered with 200. */
	logs(): Log[];
	readonly requests: readonly { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[];
	/** From now on: what is answered. */
	answer(to: (logs: readonly Log[]) => Reply): void;
}

/** An OpenTelemetry collector as far as logs over HTTP go: it decodes `ExportLogsServiceRequest` itself. */
export async function startCollector(t: Pick<TestContext, 'after'>): Promise<Collector> {
	const taken: Log[] = [];
	const requests: { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[] = [];
	const sockets = new Set<Socket>();
	let judge: (logs: readonly Log[]) => Reply = () => ({ status: 200 });
	const server = createServer((request, response) => {
		const chunks: Buffer[] = [];
		request.on('data', (chunk: Buffer) => chunks.push(chunk));
		request.on('error', () => {});
		request.on('end', () => {
			requests.push({ url: request.url, headers: request.headers });
			const logs = logsOf(gunzipSync(Buffer.concat(chunks)));
			const { status, headers, body } = judge(logs);
			if (status === 200) taken.push(...logs);
			response.writeHead(status, { 'content-type': 'application/x-protobuf', ...headers });
			response.end(body);
		});
	});
	server.on('connection', socket => {
		sockets.add(socket);
		socket.on('close', () => sockets.delete(socket));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/logs`,
		logs: () => taken,
		requests,
		answer(to) {
			judge = to;
		},
	};
}

/** opentelemetry/proto/collector/logs/v1/logs_service.proto and logs/v1/logs.proto */
function logsOf(bytes: Buffer): Log[] {
	return fieldsOf(bytes)
		.messages(1)
		.flatMap(resourceLogs => {
			const resource = attributesOf(resourceLogs.message(1), 1);
			return resourceLogs.messages(2).flatMap(scopeLogs =>
				scopeLogs.messages(2).map(record => ({
					body: text(record.message(5).bytes(1)),
					event: text(record.bytes(12)),
					severity: Number(record.number(2)),
					time: record.number(1),
					attributes: attributesOf(record, 6),
					resource,
					scope: text(scopeLogs.message(1).bytes(1)),
				})),
			);
		});
}

/** common/v1/common.proto: KeyValue, AnyValue */
export function attributesOf(fields: Fields, number: number): Attributes {
	return Object.fromEntries(
		fields.messages(number).map(pair => {
			const value = pair.message(2);
			return [text(pair.bytes(1)), value.has(1) ? text(value.bytes(1)) : Number(value.number(value.has(3) ? 3 : 2))];
		}),
	);
}
