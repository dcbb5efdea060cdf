import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { compile } from '../../src/policy/compile.ts';
import { theOpa, write } from '../policy/support.ts';
import { holdBack } from '../support/long-poll.ts';
import type { Workspace } from '../support/workspace.ts';

/** One request as the server got it. */
export interface Asked {
	readonly method: string;
	readonly path: string;
	readonly etag: string | undefined;
	readonly prefer: string | undefined;
	readonly authorization: string | undefined;
	/** Subject alternative name of the client's certificate. */
	readonly client: string | undefined;
	readonly body: string;
}

export type Misbehave = (request: IncomingMessage, response: ServerResponse) => void;

/** A bundle server that does what a test tells it to. */
export interface BundleServer {
	readonly url: string;
	readonly asked: readonly Asked[];
	/** Requests that are held back. */
	held(): number;
	/** What is served from now on, under a tag of its own; whoever waits is told. */
	serve(archive: Buffer, etag?: string): void;
	/** Answers everything like this, until something is served. */
	misbehave(how: Misbehave): void;
	/** As if the machine were gone. */
	stop(): Promise<void>;
}

export interface ServerOptions {
	/** Hold answers back, and say so by the content type. */
	readonly longPolling?: boolean;
	/** Ask for a client certificate by this CA. */
	readonly ca?: string;
}

export const LONG_POLLING = 'application/vnd.openpolicyagent.bundles';

export async function startBundleServer(
	t: TestContext,
	workspace: Workspace,
	{ longPolling = false, ca }: ServerOptions = {},
): Promise<BundleServer> {
	const { certificate, key } = workspace.server('bundles');
	const asked: Asked[] = [];
	const waiting = new Set<ServerResponse>();
	let archive: Buffer | undefined;
	let tag = '';
	let version = 0;
	let odd: Misbehave | undefined;
	const give = (response: ServerResponse): void => {
		response.setHeader('content-type', longPolling ? LONG_POLLING : 'application/gzip');
		response.setHeader('etag', tag).end(archive);
	};
	const server = createServer({
		cert: readFileSync(certificate),
		key: readFileSync(key),
		...(ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true, ca: readFileSync(ca) }),
	});
	server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
		const { 'if-none-match': etag, prefer, authorization } = request.headers;
		const chunks: Buffer[] = [];
		for await (const chunk of request) chunks.push(chunk as Buffer);
		const wanted = typeof prefer === 'string' ? prefer : undefined;
		const shown = ca === undefined ? undefined : (request.socket as TLSSocket).getPeerCertificate().subjectaltname;
		asked.push({
			method: request.method ?? '',
			path: request.url ?? '',
			etag,
			prefer: wanted,
			authorization,
			client: shown,
			body: Buffer.concat(chunks).toString('utf8'),
		});
		if (odd !== undefined) odd(request, response);
		else if (archive === undefined) response.writeHead(404).end();
		else if (etag !== tag) give(response);
		else {
			const seconds = longPolling ? Number(/wait=(\d+)/.exec(wanted ?? '')?.[1] ?? 0) : 0;
			holdBack(response, seconds, waiting);
		}
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const stop = async (): Promise<void> => {
		if (!server.listening) return;
		const closed = new Promise<void>(resolve => server.close(() => resolve()));
		server.closeAllConnections();
		await closed;
	};
	t.after(stop);
	return {
		url: `https://localhost:${(server.address() as AddressInfo).port}/bundles/team.tar.gz`,
		asked,
		held: () => waiting.size,
		serve(next, etag) {
			archive = next;
			version++;
			tag = etag ?? `"${version}"`;
			odd = undefined;
			for (const response of waiting) give(response);
			waiting.clear();
		},
		misbehave(how) {
			odd = how;
			for (const response of waiting) response.destroy();
			waiting.clear();
		},
		stop,
	};
}

/** A bundle whose phase `request` has these rules. */
export async function bundleOf(workspace: Workspace, rego: string, revision: string): Promise<Buffer> {
	const folder = workspace.path('sources', revision);
	await write(folder, { 'request.rego': `package sallyport.request\n\n${rego}\n` });
	return (await compile(await theOpa(), [folder], revision)).archive;
}

/** The folder where what was downloaded is kept. */
export const keptIn = (workspace: Workspace): string => join(workspace.directory, 'var/policy/downloaded');
