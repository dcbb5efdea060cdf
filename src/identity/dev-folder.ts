import { createPrivateKey, randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSpiffeId, trustDomainProblem } from '../formats/spiffe-id.ts';
import { makeFolder } from '../kernel/make-folder.ts';
import type { SpiffeId } from '../model/agent.ts';
import { LOOPBACK_NAMES, mintCa, mintSvid } from './dev-ca.ts';
import { certificatesToPem, keyToPem, type Minted } from './mint.ts';
import { openSvid } from './svid.ts';
import { readPemCertificates } from './trust.ts';

/** A folder of development certificates: `ca.pem`, `ca.key`, Sallyport's `sallyport.pem` and `.key`, agents' `NAME.pem` and `.key`. */

/** The caller asked for something that cannot be; said in words. */
export interface Mistake {
	readonly mistake: string;
}

export interface FolderOptions {
	readonly directory: string;
	/** Milliseconds since the epoch. */
	readonly now: number;
	/** Milliseconds; capped by the end of the CA. */
	readonly lifetime: number;
	/** Replace what is there. */
	readonly force: boolean;
}

/** What was written. */
export interface Issued {
	readonly spiffeId: string;
	readonly certificate: string;
	readonly key: string;
	/** Milliseconds since the epoch. */
	readonly notAfter: number;
}

export interface Initialised {
	readonly trustDomain: string;
	readonly ca: Omit<Issued, 'spiffeId'>;
	readonly sallyport: Issued;
}

const CA_LIFETIME = 10 * 365 * 86_400_000;
const RESERVED: ReadonlySet<string> = new Set(['ca', 'sallyport']);

/** Makes a CA for the trust domain and Sallyport's own SVID, `spiffe://TRUST_DOMAIN/sallyport`. */
export async function initFolder(trustDomain: string, options: FolderOptions): Promise<Initialised | Mistake> {
	const problem = trustDomainProblem(trustDomain);
	if (problem !== undefined) return { mistake: `${JSON.stringify(trustDomain)} is not a trust domain: ${problem}` };
	const { directory, now } = options;
	const paths = ['ca.pem', 'ca.key', 'sallyport.pem', 'sallyport.key'].map(name => join(directory, name));
	const taken = options.force ? undefined : await firstThere(paths);
	if (taken !== undefined) return exists(taken);
	const id = parseSpiffeId(`spiffe://${trustDomain}/sallyport`);
	if ('broken' in id) return { mistake: id.broken };
	const lifetime = Math.max(CA_LIFETIME, options.lifetime);
	const ca = mintCa(trustDomain, { now, lifetime });
	makeFolder(directory);
	const files = await writePair(directory, 'ca', ca);
	return {
		trustDomain,
		ca: { ...files, notAfter: now + lifetime },
		sallyport: await issue(ca, id, options, 'sallyport', now + options.lifetime),
	};
}

/**
 * Issues an SVID under the folder's CA. `agent` is a whole SPIFFE ID, or the NAME in `spiffe://TRUST_DOMAIN/agents/NAME`.
 * Sallyport's own id gets the loopback names again.
 */
export async function issueInFolder(agent: string, options: FolderOptions): Promise<Issued | Mistake> {
	const { directory, now } = options;
	const ca = await readCa(directory);
	if ('mistake' in ca) return ca;
	const id = parseSpiffeId(agent.includes('/') ? agent : `spiffe://${ca.trustDomain}/agents/${agent}`);
	if ('broken' in id) return { mistake: `${JSON.stringify(agent)} is not a SPIFFE ID: ${id.broken}` };
	const name = id.segments.at(-1);
	if (name === undefined) return { mistake: `${id.id} has no path: it names a trust domain, not an agent` };
	if (id.trustDomain !== ca.trustDomain) {
		return { mistake: `the CA in ${directory} is for ${ca.trustDomain}; it cannot issue ${id.id}` };
	}
	if (RESERVED.has(name) && id.path !== '/sallyport') {
		return { mistake: `the last part of ${id.id} names the files, and ${name}.pem is not an agent's` };
	}
	const taken = options.force
		? undefined
		: await firstThere([join(directory, `${name}.pem`), join(directory, `${name}.key`)]);
	if (taken !== undefined) return exists(taken);
	if (ca.notAfter <= now)
		return { mistake: `the CA in ${directory} has expired; make a new one with \`certs init --force\`` };
	return issue(ca.minted, id, options, name, Math.min(now + options.lifetime, ca.notAfter));
}

async function issue(
	ca: Minted,
	id: SpiffeId,
	options: FolderOptions,
	name: string,
	notAfter: number,
): Promise<Issued> {
	const { directory, now } = options;
	const svid = mintSvid(ca, id, { now, lifetime: notAfter - now }, id.path === '/sallyport' ? LOOPBACK_NAMES : []);
	const checked = openSvid(
		{
			certificate: certificatesToPem([svid.certificate]),
			key: keyToPem(svid.key),
			trustBundle: certificatesToPem([ca.certificate]),
		},
		id.trustDomain,
		{ now, skew: 0 },
	);
	if ('broken' in checked) throw new Error(`what was issued is not a valid SVID: ${checked.broken}`);
	return { spiffeId: id.id, ...(await writePair(directory, name, svid)), notAfter: checked.notAfter };
}

interface FolderCa {
	readonly minted: Minted;
	readonly trustDomain: string;
	readonly notAfter: number;
}

async function readCa(directory: string): Promise<FolderCa | Mistake> {
	let pem: string;
	let key: string;
	try {
		[pem, key] = await Promise.all([
			readFile(join(directory, 'ca.pem'), 'utf8'),
			readFile(join(directory, 'ca.key'), 'utf8'),
		]);
	} catch (error) {
		const why = error instanceof Error ? error.message : String(error);
		return { mistake: `there is no CA in ${directory} (${why}); make one with \`certs init\`` };
	}
	const certificates = readPemCertificates(pem);
	if ('broken' in certificates) return { mistake: `ca.pem: ${certificates.broken}` };
	const [certificate] = certificates;
	if (certificate === undefined) return { mistake: 'ca.pem: it is empty' };
	try {
		const privateKey = createPrivateKey(key);
		if (!certificate.x509.checkPrivateKey(privateKey)) return { mistake: 'ca.key does not belong to ca.pem' };
		const uri = parseSpiffeId(certificate.facts.names.find(({ kind }) => kind === 'uri')?.value ?? '');
		if ('broken' in uri) return { mistake: 'ca.pem names no trust domain; it was not made by `certs init`' };
		return {
			minted: { certificate: certificate.x509.raw, key: privateKey },
			trustDomain: uri.trustDomain,
			notAfter: certificate.facts.notAfter,
		};
	} catch {
		return { mistake: 'ca.key is not an unencrypted PEM private key' };
	}
}

/** Keys are readable by their owner only. Whole files replace whole files, so that nobody reads half of one. */
async function writePair(directory: string, name: string, { certificate, key }: Minted) {
	const paths = { certificate: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
	await write(paths.key, keyToPem(key), 0o600);
	await write(paths.certificate, certificatesToPem([certificate]), 0o644);
	return paths;
}

async function write(path: string, text: string, mode: number): Promise<void> {
	const temporary = `${path}.${randomBytes(6).toString('hex')}`;
	try {
		const file = await open(temporary, 'wx', mode);
		try {
			await file.writeFile(text);
		} finally {
			await file.close();
		}
		await rename(temporary, path);
	} catch (error) {
		await rm(temporary, { force: true });
		throw error;
	}
}

async function firstThere(paths: readonly string[]): Promise<string | undefined> {
	for (const path of paths) {
		const there = await stat(path).then(
			() => true,
			() => false,
		);
		if (there) return path;
	}
	return undefined;
}

const exists = (path: string): Mistake => ({ mistake: `${path} is there already; use --force to replace it` });
