import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { OID } from '../../src/formats/der-certificate.ts';
import { Handshakes } from '../../src/identity/handshake.ts';
import { type CertificateOrder, certificatesToPem, keyToPem, type Minted, mint } from '../../src/identity/mint.ts';
import {
	basicConstraints,
	type CertificateExtension,
	extendedKeyUsage,
	keyUsage,
	type NameOrder,
	subjectAltName,
} from '../../src/identity/mint-extensions.ts';
import type { When } from '../../src/identity/path.ts';
import { ServerTls } from '../../src/identity/server-tls.ts';
import { openSvid, type Svid } from '../../src/identity/svid.ts';
import { openCertificate, type TrustBundle, type TrustBundles, trustBundle } from '../../src/identity/trust.ts';
import type { Identity } from '../../src/model/agent.ts';
import type { Refused } from '../../src/model/cause.ts';

/** Certificates for tests: good ones with one thing made wrong. */

export const NOW = Date.now();
export const HOUR = 3_600_000;
export const AGENT = 'spiffe://example.org/agents/researcher';

type Extensions = readonly (CertificateExtension | undefined)[];

/** Extensions of a good leaf; each can be replaced, or left out with null. */
export interface LeafParts {
	readonly basicConstraints?: CertificateExtension | null;
	readonly keyUsage?: CertificateExtension | null;
	readonly extendedKeyUsage?: CertificateExtension | null;
	readonly names?: readonly NameOrder[] | null;
	readonly more?: readonly CertificateExtension[];
}

const given = <Value>(value: Value | null | undefined, otherwise: Value): Value | undefined =>
	value === undefined ? otherwise : value === null ? undefined : value;

const present = (extensions: Extensions): CertificateExtension[] =>
	extensions.filter(extension => extension !== undefined);

export function leafExtensions(parts: LeafParts = {}): CertificateExtension[] {
	const names = given(parts.names, [{ kind: 'uri', value: AGENT }] as const);
	return present([
		given(parts.basicConstraints, basicConstraints(false)),
		given(parts.keyUsage, keyUsage(['digitalSignature'])),
		given(parts.extendedKeyUsage, extendedKeyUsage([OID.serverAuth, OID.clientAuth])),
		names === undefined ? undefined : subjectAltName(names),
		...(parts.more ?? []),
	]);
}

export function leaf(issuer: Minted, parts: LeafParts = {}, order: Partial<CertificateOrder> = {}): Minted {
	return mint({
		issuer,
		subject: [['O', 'example.org']],
		notBefore: NOW - HOUR,
		notAfter: NOW + HOUR,
		extensions: leafExtensions(parts),
		...order,
	});
}

/** A leaf for one id. */
export const leafOf = (issuer: Minted, id: string): Minted => leaf(issuer, { names: [{ kind: 'uri', value: id }] });

export interface CaParts {
	readonly basicConstraints?: CertificateExtension | null;
	readonly keyUsage?: CertificateExtension | null;
	readonly more?: readonly CertificateExtension[];
}

export function ca(name: string, parts: CaParts = {}, order: Partial<CertificateOrder> = {}): Minted {
	return mint({
		subject: [['CN', name]],
		notBefore: NOW - 24 * HOUR,
		notAfter: NOW + 24 * HOUR,
		extensions: present([
			given(parts.basicConstraints, basicConstraints(true)),
			given(parts.keyUsage, keyUsage(['keyCertSign', 'cRLSign'])),
			...(parts.more ?? []),
		]),
		...order,
	});
}

export function bundleOf(trustDomain: string, ...anchors: Minted[]): TrustBundle {
	const opened = anchors.map(({ certificate }) => {
		const read = openCertificate(certificate);
		if ('broken' in read) throw new Error(read.broken);
		return read;
	});
	const bundle = trustBundle(trustDomain, opened);
	if ('broken' in bundle) throw new Error(bundle.broken);
	return bundle;
}

export const bundlesOf = (...bundles: TrustBundle[]): TrustBundles =>
	new Map(bundles.map(bundle => [bundle.trustDomain, bundle]));

/** PEM, leaf first. */
export const pem = (...chain: Minted[]): string => certificatesToPem(chain.map(({ certificate }) => certificate));

export function sallyport(root: Minted): Svid {
	const own = leaf(root, {
		names: [
			{ kind: 'uri', value: 'spiffe://example.org/sallyport' },
			{ kind: 'dns', value: 'localhost' },
		],
	});
	const svid = openSvid({ certificate: pem(own), key: keyToPem(own.key), trustBundle: pem(root) }, 'example.org', {
		now: NOW,
		skew: 0,
	});
	if ('broken' in svid) throw new Error(svid.broken);
	return svid;
}

/** What one handshake came to: the judgement, and whether it was resumed. */
export interface Seen {
	readonly judged: Identity | Refused;
	readonly resumed: boolean;
	readonly protocol: string | null;
}

export interface TrialServer {
	readonly port: number;
	readonly server: Server;
	/** Judges the next connection. */
	next(): Promise<Seen>;
}

/** A TLS server with Sallyport's options that judges whoever connects. `trust` replaces the bundles that judge. */
export async function trialServer(
	t: TestContext,
	svid: Svid,
	options: { readonly trust?: TrustBundles; readonly when?: () => When; readonly handshakes?: Handshakes } = {},
): Promise<TrialServer> {
	const trust = options.trust ?? svid.trustBundles;
	const handshakes = options.handshakes ?? new Handshakes(trust);
	const when = options.when ?? (() => ({ now: NOW, skew: 0 }));
	const server = createServer(new ServerTls().serverOptions({ ...svid, trustBundles: trust }, 'trial'));
	const seen: Seen[] = [];
	const waiting: ((seen: Seen) => void)[] = [];
	server.on('secureConnection', (socket: TLSSocket) => {
		socket.on('error', () => {});
		const one = {
			judged: handshakes.identify(socket, when()),
			resumed: socket.isSessionReused(),
			protocol: socket.getProtocol(),
		};
		const waiter = waiting.shift();
		if (waiter === undefined) seen.push(one);
		else waiter(one);
		socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
	});
	server.on('tlsClientError', () => {});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => server.close());
	const address = server.address();
	if (address === null || typeof address === 'string') throw new Error('no port');
	return {
		port: address.port,
		server,
		next: () =>
			new Promise(resolve => {
				const first = seen.shift();
				if (first === undefined) waiting.push(resolve);
				else resolve(first);
			}),
	};
}

/** Connects, reads to the end, and hands back the last session ticket. */
export function visit(
	port: number,
	options: ConnectionOptions,
): Promise<{ session: Buffer | undefined; error: Error | undefined }> {
	return new Promise(resolve => {
		let session: Buffer | undefined;
		let error: Error | undefined;
		const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ...options });
		socket.on('session', ticket => {
			session = ticket;
		});
		socket.on('error', raised => {
			error = raised;
		});
		socket.on('data', () => {});
		socket.on('close', () => resolve({ session, error }));
	});
}

export const show = ({ judged }: Seen): string =>
	'cause' in judged ? `${judged.cause}: ${judged.detail ?? ''}` : judged.agent.id;
