import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Whether there is a Go that could build something. */
export const hasGo = (): boolean => spawnSync('go', ['version']).status === 0;

/**
 * Builds a program by `go install` of a pinned module, which Go checks against its checksum database, beside `path` and
 * renames it: two set-ups at once, or a killed one, leave no half of a file. Resolves with what Go said if it failed.
 */
export async function goInstall(module: string, path: string, seconds?: number): Promise<string | undefined> {
	const folder = dirname(path);
	await mkdir(folder, { recursive: true });
	const temporary = await mkdtemp(join(folder, 'build-'));
	try {
		const failed = await run(module, temporary, seconds);
		if (failed === undefined) await rename(join(temporary, basename(path)), path);
		return failed;
	} finally {
		await rm(temporary, { recursive: true, force: true });
	}
}

/** What Go said, if it failed. */
function run(module: string, bin: string, limit: number | undefined): Promise<string | undefined> {
	const child = spawn('go', ['install', '-trimpath', '-ldflags=-s -w', module], {
		env: { ...process.env, GOBIN: bin, GOFLAGS: '', CGO_ENABLED: '0' },
		stdio: ['ignore', 'ignore', 'pipe'],
		// Go starts compilers of its own: they are ended with it.
		detached: true,
	});
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said = (said + text).slice(-4000);
	});
	const began = performance.now();
	const seconds = (): string => `\rsetup: ${Math.round((performance.now() - began) / 1000)} s `;
	const ticker = process.stderr.isTTY ? setInterval(() => process.stderr.write(seconds()), 1000) : undefined;
	let late = false;
	const end = (): void => {
		if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
	};
	const timer =
		limit === undefined
			? undefined
			: setTimeout(() => {
					late = true;
					end();
				}, limit * 1000);
	process.once('SIGINT', end).once('SIGTERM', end);
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', code => {
			clearInterval(ticker);
			clearTimeout(timer);
			process.off('SIGINT', end).off('SIGTERM', end);
			if (ticker !== undefined) process.stderr.write('\n');
			if (code === 0) resolve(undefined);
			else resolve(late ? `not built within ${limit} seconds` : said.trim());
		});
	});
}
