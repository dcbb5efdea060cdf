import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type JsonRule, scanJson } from '../formats/json.ts';
import { objectMember } from '../formats/json-member.ts';
import { POLICY_PATHS, type PolicyPath } from '../model/call.ts';
import { contractEntrypoint, packageEntrypoint } from './contract-module.ts';
import { sha256 } from './digest.ts';
import { problem } from './problem.ts';
import { readTar, type TarEntry, writeTar } from './tar.ts';
import { unpack } from './unpack.ts';
import type { Shape } from './verdict.ts';

/** Compiled policy bundles, `.tar.gz` as `opa build -t wasm` makes them: `.manifest`, `data.json`, `policy.wasm`. */

const MAX_PACKED = 64 * 1024 * 1024;
const MAX_UNPACKED = 256 * 1024 * 1024;
const MAX_ENTRIES = 10_000;
/** Some deeper ones are beyond the stack of the module that reads them, now and then. */
const DATA_LIMITS = { depth: 2_000, bytes: MAX_UNPACKED, anyNumber: true, anyKey: true };
const MAX_MANIFEST = 1024 * 1024;
/** Of what we write into the manifest. */
const METADATA_VERSION = 1;

/** How one package of a bundle is evaluated. */
export interface PackageEntry {
	readonly entrypoint: string;
	readonly shape: Shape;
	/** Paths below `input` that it reads; undefined when that is not known. */
	readonly reads: readonly (readonly string[])[] | undefined;
}

export interface Bundle {
	readonly revision: string;
	readonly wasm: Buffer;
	/** Text of the data document. */
	readonly data: Buffer;
	/** The packages that it has, of those that Sallyport asks for. */
	readonly packages: ReadonlyMap<PolicyPath, PackageEntry>;
	/** The whole archive, and its SHA-256. */
	readonly archive: Buffer;
	readonly digest: string;
}

/** Paths that policy reads below `input`, by package. */
export type ReadPaths = Readonly<Partial<Record<PolicyPath, readonly (readonly string[])[]>>>;

/** What is read of a manifest. */
interface Manifest {
	readonly revision: string | undefined;
	readonly wasm: readonly { readonly entrypoint: string; readonly module: string }[];
	/** What our compiler found out, and the SHA-256 of the module that it holds for. */
	readonly ours: { readonly module: string; readonly reads: ReadPaths } | undefined;
}

/**
 * Rejects with PolicyError. `path` is for the error's text. `judge` sees the files before anything of them is believed,
 * and says what is wrong with their signature. `limit`: bytes that it may unpack to; 256 MiB at most, and when absent.
 */
export async function readBundle(
	archive: Buffer,
	path: string,
	judge?: (files: ReadonlyMap<string, Buffer>) => string | undefined,
	limit = MAX_UNPACKED,
): Promise<Bundle> {
	if (archive.length > MAX_PACKED) throw problem(`the bundle is larger than ${MAX_PACKED} bytes`, path);
	let entries: ReadonlyMap<string, Buffer>;
	try {
		const unpacked = await unpack(archive, Math.min(limit, MAX_UNPACKED));
		entries = new Map(readTar(unpacked, { entries: MAX_ENTRIES }).map(entry => [entry.path, entry.bytes]));
	} catch (error) {
		throw problem(`not a policy bundle: ${error instanceof Error ? error.message : 'unreadable'}`, path);
	}
	const unsigned = judge?.(entries);
	if (unsigned !== undefined) throw problem(unsigned, path);
	if (entries.has('patch.json'))
		throw problem('a delta bundle: it changes what another server thinks is here, and is not taken', path);
	const manifest = readManifest(entries.get('.manifest'), path);
	const stray = [...entries.keys()].find(name => /(^|\/)data\.(json|ya?ml)$/.test(name) && name !== 'data.json');
	if (stray !== undefined) throw problem(`data outside /data.json (${stray}): make the bundle by \`opa build\``, path);
	const modules = new Set(manifest.wasm.map(entry => entry.module.replace(/^\/+/, '')));
	const [name, ...others] = modules;
	const wasm = name === undefined ? undefined : entries.get(name);
	if (wasm === undefined || others.length > 0) {
		throw problem(
			'the bundle has not exactly one WebAssembly module: make it by `sallyport policy build` or `opa build -t wasm`',
			path,
		);
	}
	const data = entries.get('data.json') ?? Buffer.from('{}');
	refuseOwnData(data, path);

	const entrypoints = new Set(manifest.wasm.map(entry => entry.entrypoint.replace(/^\/+/, '')));
	const reads = manifest.ours?.module === sha256(wasm) ? manifest.ours.reads : undefined;
	const packages = new Map<PolicyPath, PackageEntry>();
	for (const asked of POLICY_PATHS) {
		const known = reads?.[asked];
		if (entrypoints.has(contractEntrypoint(asked))) {
			packages.set(asked, { entrypoint: contractEntrypoint(asked), shape: 'contract', reads: known });
		} else if (entrypoints.has(packageEntrypoint(asked))) {
			packages.set(asked, { entrypoint: packageEntrypoint(asked), shape: 'package', reads: known });
		}
	}
	if (packages.size === 0)
		throw problem(
			`the bundle has no entry point that Sallyport asks for: ${POLICY_PATHS.map(packageEntrypoint).join(', ')}`,
			path,
		);
	const revision =
		manifest.revision === undefined || manifest.revision === ''
			? sha256(Buffer.concat([wasm, data]))
			: manifest.revision;
	return { revision, wasm, data, packages, archive, digest: sha256(archive) };
}

function readManifest(bytes: Buffer | undefined, path: string): Manifest {
	if (bytes === undefined) throw problem('the bundle has no .manifest', path);
	if (bytes.length > MAX_MANIFEST) throw problem(`the .manifest is larger than ${MAX_MANIFEST} bytes`, path);
	const manifest = parsed(bytes);
	const { revision, wasm = [], metadata } = isObject(manifest) ? manifest : { wasm: undefined };
	if (
		!isObject(manifest) ||
		!(revision === undefined || (typeof revision === 'string' && revision.length <= 256)) ||
		!Array.isArray(wasm) ||
		!wasm.every(isEntry)
	)
		throw problem('the .manifest of the bundle is malformed', path);
	const ours = isObject(metadata) ? metadata['sallyport'] : undefined;
	return { revision, wasm, ours: isOurs(ours) ? ours : undefined };
}

function parsed(bytes: Buffer): unknown {
	try {
		return JSON.parse(bytes.toString('utf8'));
	} catch {
		return undefined;
	}
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

const isEntry = (value: unknown): value is Manifest['wasm'][number] =>
	isObject(value) && typeof value['entrypoint'] === 'string' && typeof value['module'] === 'string';

/** Whether it has the form that we write; what does not is as good as absent, and then everything is built. */
const isOurs = (value: unknown): value is NonNullable<Manifest['ours']> =>
	isObject(value) &&
	value['version'] === METADATA_VERSION &&
	typeof value['module'] === 'string' &&
	isObject(value['reads']) &&
	Object.entries(value['reads']).every(
		([asked, paths]) =>
			(POLICY_PATHS as readonly string[]).includes(asked) &&
			Array.isArray(paths) &&
			paths.every(path => Array.isArray(path) && path.every(part => typeof part === 'string')),
	);

/**
 * Base documents under `sallyport` would stand in for rules: data could allow. What readers could read differently is
 * refused. Data may be large: parsed, it takes ten times its bytes, and is only in the engine.
 */
function refuseOwnData(data: Buffer, path: string): void {
	const fault = scanJson(data, DATA_LIMITS);
	if (fault !== undefined) throw problem(faultText(fault.rule), path);
	const { object, found } = objectMember(data, 'sallyport');
	if (!object) throw problem('the data document is not an object', path);
	if (found) throw problem('there is data under `sallyport`: only rules may stand there, or data could allow', path);
}

function faultText(rule: JsonRule): string {
	if (rule === 'syntax' || rule === 'trailing_bytes' || rule === 'control_character')
		return 'the data document is not JSON';
	if (rule === 'depth') return `the data document is nested more than ${DATA_LIMITS.depth} deep`;
	return `the data document is no JSON that everybody reads in the same way (${rule.replaceAll('_', ' ')})`;
}

/** The Rego that a bundle was made from, by path as its author knows it, without what Sallyport adds. */
export async function regoOf({ archive }: Bundle): Promise<ReadonlyMap<string, Buffer>> {
	const entries = readTar(await unpack(archive, MAX_UNPACKED), {
		entries: MAX_ENTRIES,
	});
	const rego = entries.filter(({ path }) => path.endsWith('.rego') && !path.startsWith('sallyport-contract/'));
	return new Map(rego.map(({ path, bytes }) => [path, bytes]));
}

/** Puts what we know into the manifest of an archive that `opa build` made. */
export async function annotate(archive: Buffer, revision: string, reads: ReadPaths): Promise<Buffer> {
	const entries = readTar(await unpack(archive, MAX_UNPACKED), {
		entries: MAX_ENTRIES,
	});
	const manifest = entries.find(entry => entry.path === '.manifest');
	const wasm = entries.find(entry => entry.path === 'policy.wasm');
	if (manifest === undefined || wasm === undefined) throw problem('`opa build` gave no WebAssembly bundle');
	const fields = JSON.parse(manifest.bytes.toString('utf8')) as Record<string, unknown>;
	const sallyport = { version: METADATA_VERSION, module: sha256(wasm.bytes), reads };
	const annotated: TarEntry = {
		path: '.manifest',
		bytes: Buffer.from(JSON.stringify({ ...fields, revision, metadata: { sallyport } })),
	};
	const rest = entries.filter(entry => entry !== manifest).toSorted((a, b) => (a.path < b.path ? -1 : 1));
	return await promisify(gzip)(writeTar([annotated, ...rest]), { level: 9 });
}
