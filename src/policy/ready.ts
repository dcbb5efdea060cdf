import type { BundleVerify } from '../config/policy-bundle.ts';
import { type Bundle, readBundle } from './bundle.ts';
import { isArchive, readAny, verifyRules } from './locate.ts';
import { meter } from './meter/meter.ts';
import { Unmetered } from './meter/reader.ts';
import { compileModule, ModuleRefused, type Prepared, type PrepareOptions, prepareModule } from './module.ts';
import { type Environment, findOpa } from './opa.ts';
import { problem } from './problem.ts';
import { signatureProblem } from './signature.ts';

/** From what lies in files, or came from a server, to a module with its data in memory: all that loading a bundle takes. */

/** `policy.fuel`, where nothing is said. */
export const DEFAULT_FUEL = 1_000_000;

/** Where a bundle is found, and how it is loaded. It may be told to another thread. */
export interface Job {
	/** An archive, Rego and data; for an archive that is at hand, where it is from. */
	readonly paths: readonly string[];
	/** What a server sent. */
	readonly archive?: Uint8Array | undefined;
	readonly verify?: BundleVerify | undefined;
	/** The `opa` that the configuration names. */
	readonly opa?: string | undefined;
	readonly environment: Environment;
	readonly memory: number;
	readonly fuel: number;
	/** Names of the built-ins that are supplied. */
	readonly builtins: ReadonlySet<string>;
	/** SHA-256 of the archive that is in force: what is the same is not prepared again. */
	readonly inForce?: string | undefined;
}

/** A bundle whose data is in memory. */
export interface Ready {
	readonly bundle: Pick<Bundle, 'revision' | 'archive' | 'digest' | 'packages'>;
	readonly prepared: Prepared;
}

/** Undefined when it is what is in force. Rejects with PolicyError. */
export async function makeReady(job: Job): Promise<Ready | undefined> {
	const bundle = await readFound(job);
	if (bundle.digest === job.inForce) return undefined;
	return { bundle, prepared: await prepareBundle(bundle, job.paths.join(', '), job) };
}

async function readFound({ paths, archive, verify, opa, environment, memory }: Job): Promise<Bundle> {
	const [path = ''] = paths;
	const rules = await verifyRules(verify);
	const judge = (files: ReadonlyMap<string, Buffer>): string | undefined => signatureProblem(files, rules);
	if (archive !== undefined) {
		const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
		// What a server sends unpacks to what the memory of its policy holds, and no more.
		return await readBundle(bytes, path, judge, memory);
	}
	if (rules !== undefined && !(await isArchive(path)))
		throw problem('`verify` is for compiled bundles: sources are not signed', path);
	// `opa` is looked for at each reload: it may have been installed since.
	return await readAny(paths, () => findOpa(opa, environment), judge);
}

/** Rejects with PolicyError when the module cannot be trusted to judge. `path` is for the error's text. */
export async function prepareBundle(bundle: Bundle, path: string, options: PrepareOptions): Promise<Prepared> {
	const { fuel = DEFAULT_FUEL } = options;
	let prepared: Prepared;
	try {
		const wasm = fuel > 0 ? meter(bundle.wasm) : bundle.wasm;
		prepared = prepareModule(compileModule(wasm), bundle.data, { ...options, fuel });
	} catch (error) {
		if (error instanceof Unmetered || error instanceof ModuleRefused || error instanceof WebAssembly.CompileError)
			throw problem(error.message, path);
		throw error;
	}
	for (const { entrypoint } of bundle.packages.values())
		if (!Object.hasOwn(prepared.entrypoints, entrypoint))
			throw problem(`the module has no entry point ${entrypoint}`, path);
	return prepared;
}
