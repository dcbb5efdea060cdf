import { type IncomingMessage, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP } from 'node:net';
import type { Command } from 'commander';
import { findControlSocket } from '../config/control-socket.ts';
import { parseHostPort } from '../config/values.ts';
import { contents } from './arguments.ts';
import { failure, mistake } from './terminal.ts';

/** How a running Sallyport is found: its control socket, or its control address. */
export interface ControlOptions {
	readonly config: string;
	readonly socket?: string;
	readonly address?: string;
	readonly cert?: string;
	readonly key?: string;
	readonly ca?: string;
}

export interface ControlAnswer {
	readonly status: number;
	readonly body: unknown;
}

const MAX_ANSWER = 8 * 1024 * 1024;
/** Milliseconds. A reload may compile policies. */
const PATIENCE = 120_000;

export const withControlOptions = (command: Command): Command =>
	command
		.option('--config <file>', 'configuration that names the control socket', 'sallyport.yaml')
		.option('--socket <path>', 'the control socket itself')
		.option('--address <host:port>', 'the control address, by mutual TLS')
		.option('--cert <file>', "operator's SVID, for --address")
		.option('--key <file>', 'its private key')
		.option('--ca <file>', "trust bundle by which Sallyport's SVID is judged");

/** One request to the control API, with a JSON body where `content` is given. Rejects, in words, when nobody answers. */
export async function askControl(
	options: ControlOptions,
	method: 'GET' | 'POST' | 'DELETE',
	path: string,
	content?: unknown,
): Promise<ControlAnswer> {
	const { where, open } = wayTo(options);
	const json = content === undefined ? undefined : Buffer.from(JSON.stringify(content));
	const type = json === undefined ? {} : { 'content-type': 'application/json' };
	const response = await new Promise<IncomingMessage>((resolve, reject) => {
		const request = open({
			method,
			path,
			headers: { host: 'sallyport', 'content-length': json?.length ?? 0, ...type },
			agent: false,
			timeout: PATIENCE,
		});
		request.once('response', resolve);
		request.once('timeout', () => request.destroy(new Error('there was no answer in time')));
		request.once('error', error => reject(unreachable(where, error)));
		request.end(json);
	});
	const chunks: Buffer[] = [];
	let bytes = 0;
	try {
		for await (const chunk of response) {
			if (!Buffer.isBuffer(chunk)) continue;
			bytes += chunk.length;
			if (bytes > MAX_ANSWER) throw failure(`${where}: the answer is larger than 8 MiB`);
			chunks.push(chunk);
		}
		return { status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
	} catch (error) {
		if (error instanceof SyntaxError) throw failure(`${where}: what answers is not Sallyport`);
		throw error;
	}
}

interface Way {
	readonly where: string;
	open(options: RequestOptions): ReturnType<typeof requestPlain>;
}

function wayTo(options: ControlOptions): Way {
	const { address, cert, key, ca } = options;
	if (address !== undefined) {
		const parsed = parseHostPort(address);
		if (parsed === undefined) throw mistake('--address: expected HOST:PORT, for example 127.0.0.1:17410');
		if (cert === undefined || key === undefined || ca === undefined)
			throw mistake("--address needs the operator's SVID: --cert, --key and --ca");
		// Agents' SVIDs carry no name: a certificate of the trust bundle with this name is Sallyport's. It names `localhost`.
		const { host, port } = parsed;
		const servername = /^127\.|^::1$/.test(host) ? 'localhost' : host;
		const material = { cert: contents('--cert', cert), key: contents('--key', key), ca: contents('--ca', ca) };
		return {
			where: address,
			open: more =>
				requestTls({
					...more,
					...material,
					host,
					port,
					...(isIP(servername) === 0 ? { servername } : {}),
					minVersion: 'TLSv1.2',
					rejectUnauthorized: true,
				}),
		};
	}
	const path = options.socket ?? configured(options.config);
	return { where: path, open: more => requestPlain({ ...more, socketPath: path }) };
}

function configured(file: string): string {
	const found = findControlSocket(file, process.env);
	if (typeof found === 'string') return found;
	if (found === undefined)
		throw mistake(`${file} names no \`admin.control.socket\`; say where it is by --socket or --address`);
	throw mistake(`${found.unreadable}; say where the control socket is by --config or --socket`);
}

function unreachable(where: string, error: Error): Error {
	const code = 'code' in error ? error.code : undefined;
	if (code === 'ENOENT' || code === 'ECONNREFUSED') return failure(`nobody listens on ${where}: is Sallyport running?`);
	if (code === 'EACCES') return failure(`${where} may not be opened by this user`);
	return failure(`${where}: ${error.message}`);
}

/** The words of a refusal (RFC 9457). */
export function problemWords(body: unknown): string {
	const said = typeof body === 'object' && body !== null ? body : {};
	const title = 'title' in said && typeof said.title === 'string' ? said.title : 'it was refused';
	return 'detail' in said && typeof said.detail === 'string' ? `${title} ${said.detail}` : title;
}
