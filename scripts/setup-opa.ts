import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findOpa, OPA_RELEASE, opaCandidates } from '../src/policy/opa.ts';

/**
 * Puts the `opa` executable into the cache where there is none: by `go install` of the pinned version, which Go checks
 * against its checksum database. Does nothing when there is one already.
 */

const MODULE = `github.com/open-policy-agent/opa@v${OPA_RELEASE}`;
const BY_HAND = `Install opa ${OPA_RELEASE} (https://www.openpolicyagent.org/docs/latest/#running-opa) and put it on PATH or name it in SALLYPORT_OPA`;

async function setUp(): Promise<void> {
	const candidates = opaCandidates(undefined, process.env);
	if (candidates.some(path => existsSync(path))) {
		await findOpa(undefined, process.env);
		return;
	}
	const cached = candidates.at(-1);
	if (cached === undefined || process.env['SALLYPORT_OPA'])
		throw new Error(`SALLYPORT_OPA names ${process.env['SALLYPORT_OPA']}, and there is no such file.`);
	if (spawnSync('go', ['version']).status !== 0)
		throw new Error(
			`opa compiles the policies, it is not on this machine, and neither is Go, with which it could be built. ${BY_HAND}, or install Go and try again.`,
		);
	await build(cached);
	const { path, version } = await findOpa(undefined, process.env);
	process.stderr.write(`setup: opa ${version} is at ${path}\n`);
}

/** Builds beside the place and renames, so that two set-ups at once, or a killed one, leave no half of a file. */
async function build(cached: string): Promise<void> {
	process.stderr.write(`setup: building opa ${OPA_RELEASE} with go install; about a minute, and only once\n`);
	const folder = dirname(cached);
	await mkdir(folder, { recursive: true });
	const temporary = await mkdtemp(join(folder, 'build-'));
	try {
		const failed = await goInstall(temporary);
		if (failed !== undefined) throw new Error(`go install ${MODULE} failed:\n${failed}\n${BY_HAND}.`);
		await rename(join(temporary, 'opa'), cached);
	} finally {
		await rm(temporary, { recursive: true, force: true });
	}
}

/** What Go said, if it failed. */
function goInstall(bin: string): Promise<string | undefined> {
	const child = spawn('go', ['install', '-trimpath', '-ldflags=-s -w', MODULE], {
		env: { ...process.env, GOBIN: bin, GOFLAGS: '', CGO_ENABLED: '0' },
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	let said = '';
	child.stderr.setEncoding('utf8').on('data', (text: string) => {
		said = (said + text).slice(-4000);
	});
	const began = performance.now();
	const seconds = (): string => `\rsetup: ${Math.round((performance.now() - began) / 1000)} s `;
	const ticker = process.stderr.isTTY ? setInterval(() => process.stderr.write(seconds()), 1000) : undefined;
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', code => {
			clearInterval(ticker);
			if (ticker !== undefined) process.stderr.write('\n');
			resolve(code === 0 ? undefined : said.trim());
		});
	});
}

try {
	await setUp();
} catch (error) {
	process.stderr.write(`setup: ${(error as Error).message}\n`);
	process.exitCode = 1;
}
