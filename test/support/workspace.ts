import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { LOOPBACK_NAMES, mintCa, mintSvid } from '../../src/identity/dev-ca.ts';
import { type CertificateOrder, certificatesToPem, keyToPem, type Minted, mint } from '../../src/identity/mint.ts';
import type { NameOrder } from '../../src/identity/mint-extensions.ts';

export const TRUST_DOMAIN = 'example.org';

/** A certificate and its key, as paths of PEM files. */
export interface Pair {
	readonly certificate: string;
	readonly key: string;
}

/** A folder of its own for one test, with a CA and Sallyport's SVID in certs/. Deleted at the end. */
export interface Workspace {
	readonly directory: string;
	/** Path of certs/ca.pem. */
	readonly ca: string;
	readonly authority: Minted;
	/** Absolute path of something in the folder. */
	path(...parts: string[]): string;
	/** Writes a file, with its folders, and returns its path. */
	write(path: string, text: string | Uint8Array): string;
	/** The SVID of `spiffe://example.org/agents/NAME`, made at the first call. */
	agent(name: string): Pair;
	/** An SVID for any id, from any CA; `lifetime` in milliseconds, negative for an expired one. */
	issue(name: string, id: string, options?: { issuer?: Minted; lifetime?: number; names?: readonly NameOrder[] }): Pair;
	/** Any certificate, broken ones too. */
	mint(name: string, order: CertificateOrder): Pair;
	/** A server certificate for localhost and 127.0.0.1, for upstreams. */
	server(name: string): Pair;
}

const LIFETIME = 3_600_000;
const PAST = 600_000;

/** `lifetime`: of the CA and of SVIDs, milliseconds. */
export function makeWorkspace(t: Pick<TestContext, 'after'>, lifetime = LIFETIME): Workspace {
	const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	const path = (...parts: string[]): string => join(directory, ...parts);
	const write = (name: string, text: string | Uint8Array): string => {
		mkdirSync(dirname(path(name)), { recursive: true });
		writeFileSync(path(name), text);
		return path(name);
	};
	const save = (name: string, made: Minted): Pair => ({
		certificate: write(`certs/${name}.pem`, certificatesToPem([made.certificate])),
		key: write(`certs/${name}.key`, keyToPem(made.key)),
	});
	const authority = mintCa(TRUST_DOMAIN, { now: Date.now(), lifetime });
	const ca = write('certs/ca.pem', certificatesToPem([authority.certificate]));
	const issue: Workspace['issue'] = (name, text, options = {}) => {
		const id = parseSpiffeId(text);
		if ('broken' in id) throw new Error(`${text}: ${id.broken}`);
		const { issuer = authority, lifetime: own = lifetime, names = [] } = options;
		const now = own > 0 ? Date.now() : Date.now() - PAST;
		return save(name, mintSvid(issuer, id, { now, lifetime: own > 0 ? own : PAST + own }, names));
	};
	const agents = new Map<string, Pair>();
	issue('sallyport', `spiffe://${TRUST_DOMAIN}/sallyport`, { names: LOOPBACK_NAMES });
	return {
		directory,
		ca,
		authority,
		path,
		write,
		issue,
		agent(name) {
			const pair = agents.get(name) ?? issue(name, `spiffe://${TRUST_DOMAIN}/agents/${name}`);
			agents.set(name, pair);
			return pair;
		},
		mint: (name, order) => save(name, mint(order)),
		server: name => issue(name, `spiffe://${TRUST_DOMAIN}/upstreams/${name}`, { names: LOOPBACK_NAMES }),
	};
}
