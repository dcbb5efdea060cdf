import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { problem } from './problem.ts';

/** Finds and runs the `opa` executable. Only compiling needs it; compiled bundles do not. */

/** The release that Sallyport is tested with, and that set-up puts into the cache. */
export const OPA_RELEASE = '1.22.2';
/** From here on Rego v1 needs no import. */
const OLDEST_MAJOR = 1;
const TIME_LIMIT = 60_000;
const OUTPUT_LIMIT = 256 * 1024 * 1024;

export interface Ran {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

export interface Opa {
	readonly path: string;
	readonly version: string;
	/** Rejects with PolicyError when it cannot be started, or takes longer or says more than it may. */
	run(args: readonly string[], options?: { readonly cwd?: string; readonly input?: string }): Promise<Ran>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where it is looked for, in this order. */
export function opaCandidates(configured: string | undefined, environment: Environment): readonly string[] {
	if (configured !== undefined) return [configured];
	const named = environment['SALLYPORT_OPA'];
	if (named !== undefined && named !== '') return [named];
	const onPath = (environment['PATH'] ?? '').split(delimiter).filter(folder => folder !== '');
	const cache = environment['XDG_CACHE_HOME'] ?? join(environment['HOME'] ?? homedir(), '.cache');
	return [...onPath.map(folder => join(folder, 'opa')), join(cache, 'sallyport', `opa-${OPA_RELEASE}`, 'opa')];
}

/** Rejects with PolicyError when there is none, or it is too old. */
export async function findOpa(configured: string | undefined, environment: Environment): Promise<Opa> {
	const candidates = opaCandidates(configured, environment);
	for (const path of candidates) {
		try {
			await access(path, constants.X_OK);
		} catch {
			continue;
		}
		const { status, stdout } = await run(path, ['version'], environment, {});
		const version = /^Version:\s*v?(\d+)\.(\d+\.\d+)/m.exec(stdout);
		if (status !== 0 || version === null)
			throw problem(`${path} is not the opa executable: it does not tell its version`);
		if (Number(version[1]) < OLDEST_MAJOR)
			throw problem(`${path} is opa ${version[1]}.${version[2]}; 1.0 or later is needed`);
		return {
			path,
			version: `${version[1]}.${version[2]}`,
			run: (args, options = {}) => run(path, args, environment, options),
		};
	}
	throw problem(
		candidates.length === 1
			? `there is no opa executable at ${candidates[0]}`
			: `the opa executable is needed to compile Rego and was not found: in a checkout, \`npm run setup\` gets it; else put opa ${OPA_RELEASE} on PATH, name it in SALLYPORT_OPA or policy.opa, or load a compiled bundle`,
	);
}

function run(
	path: string,
	args: readonly string[],
	environment: Environment,
	{ cwd, input }: { readonly cwd?: string; readonly input?: string },
): Promise<Ran> {
	const { promise, resolve, reject } = Promise.withResolvers<Ran>();
	const child = execFile(
		path,
		[...args],
		{
			...(cwd === undefined ? {} : { cwd }),
			// Nothing of Sallyport's own environment is the compiler's business.
			env: { PATH: environment['PATH'], HOME: environment['HOME'], TMPDIR: environment['TMPDIR'] },
			timeout: TIME_LIMIT,
			killSignal: 'SIGKILL',
			maxBuffer: OUTPUT_LIMIT,
			encoding: 'utf8',
		},
		(error, stdout, stderr) => {
			if (error === null) return resolve({ status: 0, stdout, stderr });
			if (typeof error.code === 'number') return resolve({ status: error.code, stdout, stderr });
			reject(
				problem(
					`opa ${args[0] ?? ''} ${error.killed === true ? 'took too long' : 'could not be run'}: ${error.message.split('\n')[0] ?? ''}`,
				),
			);
		},
	);
	child.stdin?.on('error', () => undefined);
	child.stdin?.end(input ?? '');
	return promise;
}
