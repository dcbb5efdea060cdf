import type { Client, ClientReadableStream, Metadata, ServiceError, StatusObject } from '@grpc/grpc-js';
import type { EndpointSocket } from '../../formats/endpoint-socket.ts';

/** How a call of the Workload API ended (gRPC status codes). `details` are the server's words. */
export interface CallEnd {
	readonly code: number;
	readonly details: string;
}

export interface StreamEvents {
	message(bytes: Buffer): void;
	/** Runs once, and after it nothing. Not when the call was cancelled. */
	end(end: CallEnd): void;
}

/** Calls of the Workload API: bytes in, bytes out. */
export interface WorkloadClient {
	/** A server-streaming call without parameters. Returns what cancels it. */
	stream(method: string, events: StreamEvents): () => void;
	/** A unary call, at most `limit` milliseconds. */
	call(method: string, request: Buffer, limit: number): Promise<Buffer | CallEnd>;
}

/** gRPC status codes that mean something here (SPIFFE_Workload_Endpoint.md §6). */
export const CODE = { invalidArgument: 3, permissionDenied: 7, unimplemented: 12, unavailable: 14 } as const;

/** Greatest message. Keys, chains and the bundles of many trust domains fit; nobody fills memory with it. */
const MAX_MESSAGE = 4 * 1024 * 1024;
/** How much of a server's words is kept. */
const MAX_DETAILS = 300;

/**
 * Every call has a channel of its own, which is closed with it: a channel waits by a schedule of its own before it
 * connects again, and when to try again is decided in one place, by whoever calls. gRPC is loaded only for this.
 */
export async function openWorkloadClient(socket: EndpointSocket): Promise<WorkloadClient> {
	const grpc = await import('@grpc/grpc-js');
	// Its own log is no JSON; how calls end is told to whoever made them.
	grpc.setLogVerbosity(grpc.logVerbosity.NONE);
	const target =
		socket.kind === 'unix'
			? `unix:${socket.path}`
			: socket.host.includes(':')
				? `ipv6:[${socket.host}]:${socket.port}`
				: `ipv4:${socket.host}:${socket.port}`;
	const open = (): Client =>
		new grpc.Client(target, grpc.credentials.createInsecure(), {
			'grpc.max_receive_message_length': MAX_MESSAGE,
			'grpc.max_metadata_size': 16 * 1024,
			'grpc.use_local_subchannel_pool': 1,
			'grpc.enable_retries': 0,
			// It is on this host; no proxy has a part in it.
			'grpc.enable_http_proxy': 0,
			'grpc.service_config_disable_resolution': 1,
		});
	return {
		stream: (method, events) => stream(open(), pathOf(method), securityHeader(new grpc.Metadata()), events),
		call: (method, request, limit) =>
			new Promise(resolve => {
				const client = open();
				const done = (error: ServiceError | null, answer?: Buffer): void => {
					client.close();
					resolve(error === null && answer !== undefined ? answer : endOf(error ?? { code: 2, details: '' }));
				};
				client.makeUnaryRequest(
					pathOf(method),
					same,
					same,
					request,
					securityHeader(new grpc.Metadata()),
					{ deadline: Date.now() + limit },
					done,
				);
			}),
	};
}

/** The service stands in no package. */
const pathOf = (method: string): string => `/SpiffeWorkloadAPI/${method}`;

/** Without it every request is refused (SPIFFE_Workload_Endpoint.md §3). */
function securityHeader(metadata: Metadata): Metadata {
	metadata.set('workload.spiffe.io', 'true');
	return metadata;
}

const same = (bytes: Buffer): Buffer => bytes;

function stream(client: Client, path: string, metadata: Metadata, events: StreamEvents): () => void {
	const call: ClientReadableStream<Buffer> = client.makeServerStreamRequest(
		path,
		same,
		same,
		Buffer.alloc(0),
		metadata,
		{},
	);
	let over = false;
	const stop = (): void => {
		over = true;
		call.cancel();
		client.close();
	};
	call.on('data', (message: Buffer) => {
		if (!over) events.message(message);
	});
	// The status says the same, and comes always.
	call.on('error', () => {});
	call.on('status', (status: StatusObject) => {
		if (over) return;
		stop();
		events.end(endOf(status));
	});
	return stop;
}

const endOf = ({ code, details }: { readonly code: number; readonly details: string }): CallEnd => ({
	code,
	details: details.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_DETAILS),
});
