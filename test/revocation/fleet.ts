import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { readSigningKey } from '../../src/identity/revocation/list-key.ts';
import { signList } from '../../src/identity/revocation/signed-list.ts';
import { readSubject } from '../../src/identity/revocation/subject.ts';
import { holdBack } from '../support/long-poll.ts';
import type { Workspace } from '../support/workspace.ts';

/** Who signs lists. */
export interface Signer {
	/** PEM. */
	readonly publicKey: string;
	readonly privateKey: string;
	list(sequence: number, what?: readonly string[], issued?: number): string;
}

type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

export function makeSigner({ publicKey, privateKey }: Pair = generateKeyPairSync('ed25519')): Signer {
	const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
	const key = readSigningKey(pem);
	if ('broken' in key) throw new Error(key.broken);
	return {
		publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
		privateKey: pem,
		list: (sequence, what = [], issued = Date.now()) =>
			signList(
				{
					sequence,
					issued,
					revocations: what.map(text => {
						const subject = readSubject(text);
						if ('broken' in subject) throw new Error(subject.broken);
						return { ...subject, reason: 'a test', operator: 'fleet', since: issued };
					}),
				},
				key,
			),
	};
}

/** One request as the server got it. */
export interface Asked {
	readonly etag: string | undefined;
	readonly prefer: string | undefined;
}

/** Serves a list over HTTPS, by ETag, and holds answers back when asked to. */
export interface ListServer {
	readonly url: string;
	readonly asked: readonly Asked[];
	/** Requests that are held back. */
	held(): number;
	/** What is served from now on; whoever waits is told. */
	serve(list: string): void;
	/** Answers everything with this status. */
	fail(status: number): void;
}

export async function serveList(t: TestContext, workspace: Workspace, first: string): Promise<ListServer> {
	const { certificate, key } = workspace.server('lists');
	const asked: Asked[] = [];
	const waiting = new Set<ServerResponse>();
	let list = first;
	let version = 1;
	let failing: number | undefined;
	const give = (response: ServerResponse): void => {
		response.setHeader('etag', `"${version}"`).end(list);
	};
	const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
		const { 'if-none-match': etag, prefer } = request.headers;
		asked.push({ etag, prefer: typeof prefer === 'string' ? prefer : undefined });
		if (failing !== undefined) response.writeHead(failing).end();
		else if (etag !== `"${version}"`) give(response);
		else {
			const seconds = Number(/wait=(\d+)/.exec(String(prefer))?.[1] ?? 0);
			holdBack(response, seconds, waiting);
		}
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return {
		url: `https://localhost:${(server.address() as AddressInfo).port}/revocations.jws`,
		asked,
		held: () => waiting.size,
		serve(next) {
			list = next;
			version++;
			failing = undefined;
			for (const response of waiting) give(response);
			waiting.clear();
		},
		fail(status) {
			failing = status;
			for (const response of waiting) response.writeHead(status).end();
			waiting.clear();
		},
	};
}

/** `identity` with a list to follow. */
export const following = (revocations: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
	trust_domain: 'example.org',
	svid: { files: { certificate: 'certs/sallyport.pem', key: 'certs/sallyport.key', trust_bundle: 'certs/ca.pem' } },
	revocations: { verify_key: 'fleet.pub', ...revocations },
});
