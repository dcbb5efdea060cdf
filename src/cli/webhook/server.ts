import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { parse } from 'yaml';
import { watchFiles } from '../../config/watch.ts';
import { type Injection, injectionShape } from './injection.ts';
import { answerReview } from './review.ts';

export interface WebhookFiles {
	readonly injection: string;
	readonly certificate: string;
	readonly key: string;
}

/** An AdmissionReview holds a pod and the one before; the API server takes objects of 3 MiB at most. */
const MAX_BODY = 8 * 1024 * 1024;
/** Whoever reaches the Service may call: what they make it hold has to fit into its memory. */
const MOST_CONNECTIONS = 128;
const MOST_BODIES = 4 * MAX_BODY;
const TIMEOUT = 10_000;

export interface Webhook {
	readonly server: Server;
	close(): void;
}

/** Reads what is added to pods. Throws in words. */
export function readInjection(path: string): Injection {
	const read = injectionShape.safeParse(parse(readFileSync(path, 'utf8')));
	if (read.success) return read.data;
	const [issue] = read.error.issues;
	throw new Error(`${path}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not good'}`);
}

/** After that the API server calls nobody, and pods with the label are not made. */
const goodUntil = (certificate: Buffer): string =>
	`the certificate is good until ${new Date(new X509Certificate(certificate).validTo).toISOString()}`;

/** The server that the API server calls. Its files are watched; what is not good leaves what was in force. */
export async function openWebhook(files: WebhookFiles, say: (text: string) => void): Promise<Webhook> {
	const pair = (): { readonly cert: Buffer; readonly key: Buffer } => ({
		cert: readFileSync(files.certificate),
		key: readFileSync(files.key),
	});
	let injection = readInjection(files.injection);
	const shown = pair();
	say(goodUntil(shown.cert));
	const held = { bytes: 0 };
	const server = createServer(
		{ ...shown, minVersion: 'TLSv1.2', requestTimeout: TIMEOUT, headersTimeout: TIMEOUT, maxHeaderSize: 16 * 1024 },
		(request, response) => serve(request, response, injection, held),
	);
	server.maxConnections = MOST_CONNECTIONS;
	const watch = await watchFiles(Object.values(files), () => {
		try {
			const next = readInjection(files.injection);
			const renewed = pair();
			server.setSecureContext({ ...renewed, minVersion: 'TLSv1.2' });
			injection = next;
			say(`the files were read again; ${goodUntil(renewed.cert)}`);
		} catch (error) {
			say(`the new files were not taken: ${(error as Error).message}`);
		}
	});
	return {
		server,
		close() {
			watch.close();
			server.close();
			server.closeIdleConnections();
		},
	};
}

/** `held`: what the bodies of all requests under way have together. */
function serve(
	request: IncomingMessage,
	response: ServerResponse,
	injection: Injection,
	held: { bytes: number },
): void {
	const end = (status: number, body: string, type = 'text/plain'): void => {
		response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
		response.end(body);
	};
	request.on('error', () => {});
	const path = request.url?.split('?', 1)[0];
	if (request.method === 'GET' && (path === '/livez' || path === '/readyz')) {
		end(200, 'ok\n');
		return;
	}
	if (request.method !== 'POST' || path !== '/inject') {
		end(404, 'there is only POST /inject\n');
		return;
	}
	const parts: Buffer[] = [];
	let size = 0;
	request.on('data', (part: Buffer) => {
		if (response.headersSent) return;
		size += part.length;
		held.bytes += part.length;
		parts.push(part);
		if (size <= MAX_BODY && held.bytes <= MOST_BODIES) return;
		parts.length = 0;
		response.shouldKeepAlive = false;
		if (size > MAX_BODY) end(413, 'the review is too long\n');
		else end(503, 'too much at once\n');
	});
	request.once('close', () => {
		held.bytes -= size;
	});
	request.on('end', () => {
		if (response.headersSent) return;
		const answer = answerReview(Buffer.concat(parts).toString('utf8'), injection);
		if (answer === undefined) end(400, 'this is no AdmissionReview of admission.k8s.io/v1\n');
		else end(200, JSON.stringify(answer), 'application/json');
	});
}
