import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';
import { LOOPBACK_NAMES, mintCa, mintSvid } from '../../src/identity/dev-ca.ts';
import { certificatesToPem, keyToPem, type Minted } from '../../src/identity/mint.ts';
import { TRUST_DOMAIN, type Workspace } from '../support/workspace.ts';

const HOUR = 3_600_000;
const NAMES = ['sallyport.pem', 'sallyport.key', 'ca.pem', 'bearer', 'username', 'password'];

/** Rotations at which the new CA enters the trust bundle, issues, and stays in it alone. */
const ENTERS = 7;
const ISSUES = 11;
const ALONE = 15;

/** What rotates, as a Kubernetes volume brings it: a folder whose `..data` link is exchanged as one. */
export class Mount {
	readonly #workspace: Workspace;
	readonly #lifetime: number;
	readonly #folder: string;
	readonly #old = mintCa(TRUST_DOMAIN, { now: Date.now(), lifetime: HOUR });
	readonly #new = mintCa(TRUST_DOMAIN, { now: Date.now(), lifetime: HOUR });
	#svids = new Map<string, { readonly cert: string; readonly key: string }>();
	#bundle = '';
	#serial = '';

	/** `lifetime` of the SVIDs of the agent `short`, milliseconds. */
	constructor(workspace: Workspace, lifetime: number) {
		this.#workspace = workspace;
		this.#lifetime = lifetime;
		this.#folder = workspace.path('mount');
		mkdirSync(this.#folder);
		for (const name of NAMES) symlinkSync(`..data/${name}`, join(this.#folder, name));
	}

	path(name: string): string {
		return join(this.#folder, name);
	}

	/** Of `identity.svid`. */
	files(name: string): Readonly<Record<string, string>> {
		return {
			certificate: this.path(`${name}.pem`),
			key: this.path(`${name}.key`),
			trust_bundle: this.path('ca.pem'),
		};
	}

	/** What is in force from now on, all of it new. */
	give(n: number): void {
		const issuer = n < ISSUES ? this.#old : this.#new;
		const bundle = [...(n < ALONE ? [this.#old] : []), ...(n < ENTERS ? [] : [this.#new])];
		this.#bundle = certificatesToPem(bundle.map(({ certificate }) => certificate));
		const svids = new Map<string, { cert: string; key: string }>();
		const issue = (name: string, id: string, lifetime: number): Minted => {
			const parsed = parseSpiffeId(id);
			if ('broken' in parsed) throw new Error(parsed.broken);
			const made = mintSvid(issuer, parsed, { now: Date.now(), lifetime }, LOOPBACK_NAMES);
			svids.set(name, { cert: certificatesToPem([made.certificate]), key: keyToPem(made.key) });
			return made;
		};
		const own = issue('sallyport', `spiffe://${TRUST_DOMAIN}/sallyport`, HOUR);
		issue('a', `spiffe://${TRUST_DOMAIN}/agents/a`, HOUR);
		issue('short', `spiffe://${TRUST_DOMAIN}/agents/short`, this.#lifetime);
		issue('ledger', `spiffe://${TRUST_DOMAIN}/ledger`, HOUR);
		this.#svids = svids;
		this.#serial = new X509Certificate(own.certificate).serialNumber;
		const role = n % 2 === 0 ? 'even' : 'odd';
		const contents: Readonly<Record<string, string>> = {
			'sallyport.pem': svids.get('sallyport')?.cert ?? '',
			'sallyport.key': svids.get('sallyport')?.key ?? '',
			'ca.pem': this.#bundle,
			bearer: `bearer-number-${n}\n`,
			username: `${role}\n`,
			password: `held-${role}\n`,
		};
		const version = join(this.#folder, `..v${n}`);
		mkdirSync(version);
		for (const [name, text] of Object.entries(contents)) writeFileSync(join(version, name), text);
		symlinkSync(`..v${n}`, join(this.#folder, '..next'));
		renameSync(join(this.#folder, '..next'), join(this.#folder, '..data'));
		if (n > 0) rmSync(join(this.#folder, `..v${n - 1}`), { recursive: true });
	}

	/** Serial of Sallyport's SVID that is in force, upper-case hex. */
	get serial(): string {
		return this.#serial;
	}

	/** What a peer shows, and by what it judges. */
	tls(name: string): { readonly cert: string; readonly key: string; readonly ca: string } {
		const svid = this.#svids.get(name);
		if (svid === undefined) throw new Error(`nobody is called ${name}`);
		return { ...svid, ca: this.#bundle };
	}

	/** A Basic field with the token of a file, as it stands there now. */
	basic(file: string): string {
		const token = readFileSync(this.#workspace.path(file), 'utf8').trim();
		return `Basic ${Buffer.from(`agent:${token}`).toString('base64')}`;
	}
}
