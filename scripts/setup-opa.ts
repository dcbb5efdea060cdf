import { existsSync } from 'node:fs';
import { findOpa, OPA_RELEASE, opaCandidates } from '../src/policy/opa.ts';
import { goInstall, hasGo } from './go-install.ts';

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
	if (!hasGo())
		throw new Error(
			`opa compiles the policies, it is not on this machine, and neither is Go, with which it could be built. ${BY_HAND}, or install Go and try again.`,
		);
	process.stderr.write(`setup: building opa ${OPA_RELEASE} with go install; about a minute, and only once\n`);
	const failed = await goInstall(MODULE, cached);
	if (failed !== undefined) throw new Error(`go install ${MODULE} failed:\n${failed}\n${BY_HAND}.`);
	const { path, version } = await findOpa(undefined, process.env);
	process.stderr.write(`setup: opa ${version} is at ${path}\n`);
}

try {
	await setUp();
} catch (error) {
	process.stderr.write(`setup: ${(error as Error).message}\n`);
	process.exitCode = 1;
}
