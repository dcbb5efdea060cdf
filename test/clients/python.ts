import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** What is installed for the Python clients, beside what they bring themselves. */
export const PYTHON_PACKAGES = {
	aiohttp: '3.14.5',
	httpx: '0.28.1',
	'psycopg[binary]': '3.3.9',
	requests: '2.34.2',
	urllib3: '2.8.0',
} as const;

const OLDEST = [3, 11] as const;

/** The interpreter of an environment with the pinned clients, made once and kept outside the tree; or why there is none. */
export function python(): { readonly path: string } | { readonly missing: string } {
	const found = spawnSync(
		'python3',
		['-c', 'import sys; print(sys.version_info[0], sys.version_info[1], sys.base_prefix)'],
		{ encoding: 'utf8' },
	);
	if (found.status !== 0) return { missing: 'python3 is not installed' };
	const [major = 0, minor = 0] = found.stdout.split(' ').map(Number);
	if (major !== OLDEST[0] || minor < OLDEST[1])
		return { missing: `python3 is ${major}.${minor}; ${OLDEST.join('.')} is needed` };
	const wanted = Object.entries(PYTHON_PACKAGES).map(([name, version]) => `${name}==${version}`);
	const key = createHash('sha256')
		.update(`${found.stdout}${wanted.join(' ')}`)
		.digest('hex')
		.slice(0, 12);
	const home = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sallyport', 'clients-venv', key);
	const path = join(home, 'bin', 'python');
	return existsSync(path) ? { path } : make(home, wanted, path);
}

/** Built beside its place and renamed: several test files may come at once, and each may be killed. */
function make(
	home: string,
	wanted: readonly string[],
	path: string,
): { readonly path: string } | { readonly missing: string } {
	mkdirSync(dirname(home), { recursive: true });
	const temporary = mkdtempSync(join(dirname(home), 'build-'));
	try {
		const steps: [string, string[]][] = [
			['python3', ['-m', 'venv', temporary]],
			[
				join(temporary, 'bin', 'python'),
				['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:', ...wanted],
			],
		];
		for (const [command, args] of steps) {
			const { status, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 180_000 });
			if (status !== 0)
				return {
					missing: `the Python clients could not be installed: ${(stderr || stdout).trim().split('\n').at(-1)}`,
				};
		}
		// Python finds its packages from where its own link lies; nothing of the scripts in bin/, which name the old place, is used.
		renameSync(temporary, home);
		return { path };
	} catch (error) {
		if (existsSync(path)) return { path };
		throw error;
	} finally {
		rmSync(temporary, { recursive: true, force: true });
	}
}
