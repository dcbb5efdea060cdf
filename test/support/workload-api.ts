import { existsSync, rmSync } from 'node:fs';
import type { TestContext } from 'node:test';
import {
	type handleServerStreamingCall,
	type handleUnaryCall,
	type Metadata,
	Server,
	ServerCredentials,
	type ServerWritableStream,
	status,
} from '@grpc/grpc-js';
import type { Minted } from '../../src/identity/mint.ts';

/** A SPIFFE Workload API over a Unix socket that does what it is told, wrong things too. */

/** One SVID of an answer. What is given as bytes is sent as it is. */
export interface GivenSvid {
	readonly id: string;
	readonly svid: readonly Minted[] | Buffer;
	/** The first certificate's own when absent. */
	readonly key?: Buffer;
	readonly bundle: readonly Minted[] | Buffer;
	readonly hint?: string;
}

export interface GivenState {
	readonly svids: readonly GivenSvid[];
	readonly crls?: readonly Buffer[];
	/** By trust domain, or by any other key that has a colon. */
	readonly federated?: Readonly<Record<string, readonly Minted[] | Buffer>>;
}

export type Method = 'FetchX509SVID' | 'FetchJWTBundles' | 'FetchJWTSVID';

export interface WorkloadApiServer {
	/** `unix:///…`. */
	readonly socket: string;
	/** How often a method was called. */
	calls(method: Method): number;
	/** Streams of SVIDs that are open. */
	open(): number;
	/** The metadata of every call so far. */
	readonly metadata: readonly Metadata[];
	/** From now on this is the state: streams that are open get it at once, others first thing. */
	give(state: GivenState): void;
	/** As `give`, with any bytes for a message. */
	giveBytes(message: Buffer): void;
	/** JWK Sets by trust domain. */
	giveJwt(bundles: Readonly<Record<string, string | Buffer>>): void;
	/** What FetchJWTSVID answers, from audience and id. */
	onJwtSvid(answer: (audience: string, id: string) => string | { readonly code: status }): void;
	/** From now on calls fail with this, and streams that are open end with it; until the next `give`. */
	fail(code: status, details?: string, ...methods: Method[]): void;
	/** From now on calls are taken and nothing is said; until the next `give`. */
	hush(): void;
	/** Ends the streams that are open, as if all were well. */
	drop(): void;
	/** Breaks every connection off and goes away. */
	stop(): void;
	/** Comes back at the same socket. */
	start(): Promise<void>;
}

const bytesOf = (given: readonly Minted[] | Buffer): Buffer =>
	Buffer.isBuffer(given) ? given : Buffer.concat(given.map(({ certificate }) => certificate));

/** A length-delimited field; the lengths here are below 2^21. */
export function field(number: number, value: string | Uint8Array): Buffer {
	const bytes = Buffer.from(value);
	const length: number[] = [];
	let rest = bytes.length;
	while (rest > 0x7f) {
		length.push((rest & 0x7f) | 0x80);
		rest >>>= 7;
	}
	return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), bytes]);
}

export function x509Message({ svids, crls = [], federated = {} }: GivenState): Buffer {
	return Buffer.concat([
		...svids.map(({ id, svid, key, bundle, hint = '' }) => {
			const own = Buffer.isBuffer(svid) ? undefined : svid[0]?.key;
			const pkcs8 = key ?? own?.export({ type: 'pkcs8', format: 'der' }) ?? Buffer.alloc(0);
			const parts = [field(1, id), field(2, bytesOf(svid)), field(3, pkcs8), field(4, bytesOf(bundle))];
			return field(1, Buffer.concat(hint === '' ? parts : [...parts, field(5, hint)]));
		}),
		...crls.map(crl => field(2, crl)),
		...Object.entries(federated).map(([domain, bundle]) => field(3, entry(domain, bytesOf(bundle)))),
	]);
}

const entry = (domain: string, value: string | Uint8Array): Buffer =>
	Buffer.concat([field(1, domain.includes(':') ? domain : `spiffe://${domain}`), field(2, value)]);

const same = (bytes: Buffer): Buffer => bytes;
const pathOf = (method: Method) => ({
	path: `/SpiffeWorkloadAPI/${method}`,
	requestStream: false,
	responseStream: method !== 'FetchJWTSVID',
	requestSerialize: same,
	requestDeserialize: same,
	responseSerialize: same,
	responseDeserialize: same,
});

type Stream = ServerWritableStream<Buffer, Buffer>;

interface Streamed {
	message: Buffer | undefined;
	failure: { readonly code: status; readonly details: string } | undefined;
	readonly open: Set<Stream>;
}

/** Listens at `path`, which must be short enough for a Unix socket. */
export async function startWorkloadApi(t: Pick<TestContext, 'after'>, path: string): Promise<WorkloadApiServer> {
	const counts: Record<Method, number> = { FetchX509SVID: 0, FetchJWTBundles: 0, FetchJWTSVID: 0 };
	const metadata: Metadata[] = [];
	const noIdentity = { code: status.PERMISSION_DENIED, details: 'no identity issued' };
	const streams: Record<'FetchX509SVID' | 'FetchJWTBundles', Streamed> = {
		FetchX509SVID: { message: undefined, failure: noIdentity, open: new Set() },
		FetchJWTBundles: { message: undefined, failure: noIdentity, open: new Set() },
	};
	let jwtSvid: (audience: string, id: string) => string | { readonly code: status } = () => noIdentity;

	const enter = (method: Method, seen: Metadata): { readonly code: status; readonly details: string } | undefined => {
		counts[method]++;
		metadata.push(seen);
		return String(seen.get('workload.spiffe.io')) === 'true'
			? undefined
			: { code: status.INVALID_ARGUMENT, details: 'security header missing from request' };
	};
	const streaming =
		(method: 'FetchX509SVID' | 'FetchJWTBundles'): handleServerStreamingCall<Buffer, Buffer> =>
		call => {
			const state = streams[method];
			const failure = enter(method, call.metadata) ?? state.failure;
			if (failure !== undefined) {
				call.emit('error', failure);
				return;
			}
			state.open.add(call);
			call.on('cancelled', () => state.open.delete(call));
			call.on('close', () => state.open.delete(call));
			if (state.message !== undefined) call.write(state.message);
		};
	const unary: handleUnaryCall<Buffer, Buffer> = (call, done) => {
		const failure = enter('FetchJWTSVID', call.metadata);
		if (failure !== undefined) {
			done(failure);
			return;
		}
		const [audience = '', id = ''] = stringsOf(call.request);
		const answer = jwtSvid(audience, id);
		if (typeof answer === 'string') done(null, field(1, Buffer.concat([field(1, id), field(2, answer)])));
		else done({ code: answer.code, details: 'as told' });
	};

	let server: Server;
	const start = async (): Promise<void> => {
		server = new Server();
		server.addService(
			{
				FetchX509SVID: pathOf('FetchX509SVID'),
				FetchJWTBundles: pathOf('FetchJWTBundles'),
				FetchJWTSVID: pathOf('FetchJWTSVID'),
			},
			{ FetchX509SVID: streaming('FetchX509SVID'), FetchJWTBundles: streaming('FetchJWTBundles'), FetchJWTSVID: unary },
		);
		if (existsSync(path)) rmSync(path);
		await new Promise<void>((resolve, reject) => {
			server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), error =>
				error === null ? resolve() : reject(error),
			);
		});
	};
	const send = (method: 'FetchX509SVID' | 'FetchJWTBundles', message: Buffer): void => {
		const state = streams[method];
		state.message = message;
		state.failure = undefined;
		for (const call of state.open) call.write(message);
	};
	await start();
	t.after(() => server.forceShutdown());
	return {
		socket: `unix://${path}`,
		calls: method => counts[method],
		open: () => streams.FetchX509SVID.open.size,
		metadata,
		give: state => send('FetchX509SVID', x509Message(state)),
		giveBytes: message => send('FetchX509SVID', message),
		giveJwt: bundles =>
			send(
				'FetchJWTBundles',
				Buffer.concat(Object.entries(bundles).map(([domain, set]) => field(1, entry(domain, set)))),
			),
		onJwtSvid(answer) {
			jwtSvid = answer;
		},
		fail(code, details = 'as told', ...methods) {
			for (const method of ['FetchX509SVID', 'FetchJWTBundles'] as const) {
				if (methods.length > 0 && !methods.includes(method)) continue;
				const state = streams[method];
				state.failure = { code, details };
				for (const call of state.open) call.emit('error', { code, details });
				state.open.clear();
			}
		},
		hush() {
			for (const state of Object.values(streams)) {
				state.message = undefined;
				state.failure = undefined;
			}
		},
		drop() {
			for (const state of Object.values(streams)) {
				for (const call of state.open) call.end();
				state.open.clear();
			}
		},
		stop() {
			server.forceShutdown();
			for (const state of Object.values(streams)) state.open.clear();
		},
		start,
	};
}

/** The strings of a JWTSVIDRequest, in order; each is shorter than 128 bytes. */
function stringsOf(request: Buffer): string[] {
	const found: string[] = [];
	for (let at = 0; at + 1 < request.length; ) {
		const length = request[at + 1] ?? 0;
		found.push(request.toString('utf8', at + 2, at + 2 + length));
		at += 2 + length;
	}
	return found;
}
