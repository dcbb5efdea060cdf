import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { initFolder, issueInFolder } from '../../identity/dev-folder.ts';
import { packageRoot } from '../../kernel/package-root.ts';
import { failure } from '../terminal.ts';

/** The root of the checkout or package. */
const ROOT = packageRoot();

export const SALLYPORT = join(ROOT, 'bin', 'sallyport');

/** Where everything of one demo is. */
export interface DemoFolder {
	readonly path: string;
	readonly config: string;
	readonly audit: string;
	/** What the database will want of Sallyport. */
	readonly password: string;
	/** The port that stands in for one of those in demo/sallyport.yaml. */
	port(of: number): number;
	/** Path of something inside. */
	at(...parts: string[]): string;
}

const AGENTS = ['researcher', 'clerk'] as const;
export const DATABASE_ID = 'spiffe://example.org/databases/orders';
const LIFETIME = 24 * 3_600_000;
/** As they stand in demo/sallyport.yaml; CRM and database have theirs already. */
const LISTENERS = [17_400, 17_401, 17_402, 17_432] as const;

const ASSETS = join(ROOT, 'demo');

/** An empty folder, for which the caller answers from here on. */
export async function makeFolder(): Promise<string> {
	const there = await stat(join(ASSETS, 'sallyport.yaml')).catch(() => undefined);
	if (there === undefined) throw failure(`there is no ${ASSETS} here: run the demo in a checkout, after \`npm ci\``);
	return await mkdtemp(join(tmpdir(), 'sallyport-demo-'));
}

/** Fills it: configuration with free ports, policies, agents' programs, certificates. */
export async function fillFolder(path: string, ports: { readonly crm: number }): Promise<DemoFolder> {
	// The database's own user must get to its folder inside.
	await chmod(path, 0o711);
	await cp(ASSETS, path, { recursive: true });
	const at = (...parts: string[]): string => join(path, ...parts);
	await mkdir(at('var'), { mode: 0o700 });

	const now = Date.now();
	const options = { directory: at('certs'), now, lifetime: LIFETIME, force: false };
	const made = await initFolder('example.org', options);
	if ('mistake' in made) throw failure(made.mistake);
	for (const id of [...AGENTS, DATABASE_ID]) {
		const issued = await issueInFolder(id, options);
		if ('mistake' in issued) throw failure(issued.mistake);
	}
	const password = randomBytes(18).toString('base64url');
	await writeFile(at('certs', 'orders.password'), password, { mode: 0o600 });

	const free = await freePorts(LISTENERS.length + 1);
	const taken = new Map<number, number>([
		[17_480, ports.crm],
		[17_481, free[LISTENERS.length] ?? 0],
	]);
	for (const [index, port] of LISTENERS.entries()) taken.set(port, free[index] ?? 0);
	const port = (of: number): number => taken.get(of) ?? of;
	const config = at('sallyport.yaml');
	const text = await readFile(config, 'utf8');
	await writeFile(
		config,
		text.replace(/(?<=127\.0\.0\.1:)174\d\d\b/g, of => String(port(Number(of)))),
	);
	return { path, config, audit: at('var', 'audit'), password, port, at };
}

/** Lets the agents' programs import `pg`. False where it is not installed. */
export async function linkPg(folder: string): Promise<boolean> {
	let found: string;
	try {
		found = dirname(fileURLToPath(import.meta.resolve('pg/package.json')));
	} catch {
		return false;
	}
	await mkdir(join(folder, 'node_modules'));
	await symlink(found, join(folder, 'node_modules', 'pg'));
	return true;
}

/** Ports that were free a moment ago: several at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
	const servers = Array.from({ length: count }, () => createServer());
	const ports = await Promise.all(
		servers.map(
			server =>
				new Promise<number>((resolve, reject) => {
					server.once('error', reject);
					server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
				}),
		),
	);
	await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
	return ports;
}
