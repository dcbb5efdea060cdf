import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { LOOPBACK_NAMES, mintCa, mintSvid } from '../../src/identity/dev-ca.ts';
import { certificatesToPem, keyToPem, type Minted } from '../../src/identity/mint.ts';
import type { SpiffeId } from '../../src/model/agent.ts';

export interface Pair {
	/** PEM. */
	readonly certificate: string;
	readonly key: string;
	/** Paths of files with the same, for programs. */
	readonly certificatePath: string;
	readonly keyPath: string;
}

/** Certificates of one trust domain for the tests of session doors. */
export interface Certificates {
	/** PEM of the CA. */
	readonly ca: string;
	readonly caPath: string;
	readonly authority: X509Certificate;
	/** Sallyport's, with the names of loopback. */
	readonly server: Pair;
	/** An agent's: `spiffe://example.org/agents/NAME`. */
	agent(name: string): Pair;
}

export function spiffeId(text: string): SpiffeId {
	const parsed = parseSpiffeId(text);
	if (!('trustDomain' in parsed)) throw new Error(`not a SPIFFE ID: ${text}`);
	return parsed;
}

export function certificates(t: Pick<TestContext, 'after'>): Certificates {
	const directory = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	const validity = { now: Date.now(), lifetime: 3600_000 };
	const ca = mintCa('example.org', validity);
	const pem = (minted: Minted): string => certificatesToPem([minted.certificate]);
	const pair = (name: string, minted: Minted): Pair => {
		const made = {
			certificate: pem(minted),
			key: keyToPem(minted.key),
			certificatePath: join(directory, `${name}.pem`),
			keyPath: join(directory, `${name}.key`),
		};
		writeFileSync(made.certificatePath, made.certificate);
		// libpq refuses keys that others can read.
		writeFileSync(made.keyPath, made.key, { mode: 0o600 });
		return made;
	};
	const caPath = join(directory, 'ca.pem');
	writeFileSync(caPath, pem(ca));
	return {
		ca: pem(ca),
		caPath,
		authority: new X509Certificate(ca.certificate),
		server: pair('sallyport', mintSvid(ca, spiffeId('spiffe://example.org/sallyport'), validity, LOOPBACK_NAMES)),
		agent: name => pair(name, mintSvid(ca, spiffeId(`spiffe://example.org/agents/${name}`), validity)),
	};
}
