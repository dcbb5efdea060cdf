import { readFile, writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { size } from '../config/values.ts';
import { JSON_LIMITS, scanJson } from '../formats/json.ts';
import { PHASES, POLICY_PATHS, type PolicyPath, policyPath } from '../model/call.ts';
import { BUILTINS } from '../policy/builtins/registry.ts';
import { checkPolicy } from '../policy/check.ts';
import { compile } from '../policy/compile.ts';
import { INPUT_SCHEMA } from '../policy/input-check.ts';
import { isArchive, readAny } from '../policy/locate.ts';
import { findOpa, type Opa } from '../policy/opa.ts';
import { agentPolicy, type LoadedBundle, loadBundle } from '../policy/set.ts';
import { signBundle } from '../policy/sign.ts';
import { testPolicy } from '../policy/tester.ts';
import { recordedDecision } from './policy-decision.ts';
import { replayCommand } from './policy-replay.ts';
import { checkedText, printFailures, testedText, verdictText } from './policy-text.ts';
import { whoCanCommand } from './policy-who-can.ts';
import {
	DONE,
	example,
	FAILURE,
	jsonLine,
	mistake,
	processTerminal,
	settle,
	type Terminal,
	visible,
} from './terminal.ts';

interface Options {
	readonly opa?: string;
	readonly memory: number;
	readonly json?: boolean;
}

/** `policy check|test|build|eval|replay|who-can`. Exit status 1: the policy is at fault; 2: how it was called is. */
export function policyCommand(terminal: Terminal = processTerminal()): Command {
	const policy = new Command('policy').description('check, test, build, evaluate and replay policy');

	common(policy.command('check'))
		.description('find what is wrong with a policy, show what it reads and costs')
		.option('--input <file>', 'input whose evaluation is measured, JSON; - for standard input')
		.addHelpText('after', example('sallyport policy check policies', 'sallyport policy check policies --json'))
		.action((paths: readonly string[], options: Options & { readonly input?: string }) =>
			run(terminal, options, () => checkCommand(terminal, paths, options)),
		);

	common(policy.command('test'))
		.description('run the Rego tests in opa and in the engine that judges calls; they must agree')
		.addHelpText('after', example('sallyport policy test policies'))
		.action((paths: readonly string[], options: Options) =>
			run(terminal, options, () => testCommand(terminal, paths, options)),
		);

	common(policy.command('build'))
		.description('compile a policy bundle')
		.option('-o, --output <file>', 'where to write it', 'bundle.tar.gz')
		.option('--revision <text>', 'revision in place of the SHA-256 of sources and data', parseRevision)
		.option('--signing-key <file>', 'PEM private key, RSA or EC, that signs the bundle')
		.option('--key-id <id>', 'by which `verify.keys` finds the public key')
		.option('--scope <text>', 'what `verify.scope` must say')
		.addHelpText(
			'after',
			example(
				'sallyport policy build policies -o policy.tar.gz',
				'sallyport policy build policies --revision "$(git describe)"',
				'sallyport policy build policies --signing-key release.key --key-id release',
			),
		)
		.action((paths: readonly string[], options: BuildOptions) =>
			run(terminal, options, () => buildCommand(terminal, paths, options)),
		);

	common(policy.command('eval'))
		.description('print the verdict on an input; the exit status is 0 whatever the verdict, 1 if there is none')
		.option('--input <file>', 'the input, JSON; - for standard input')
		.option('--decision <id>', 'in place of paths and input: a recorded decision, by its id or how that begins')
		.option('--directory <folder>', 'the audit directory, for --decision', 'var/audit')
		.option('--keep <folder>', '`policy.keep`, for --decision', 'var/policy')
		.option('--phase <phase>', `${PHASES.join(', ')}, or inbound/… of these; as the input says, or request`, parsePhase)
		.addHelpText(
			'after',
			example(
				'sallyport policy eval policies --input call.json',
				'sallyport policy eval policy.tar.gz --input - --json < call.json',
				'sallyport policy eval --decision 01f9c7',
			),
		)
		.action((paths: readonly string[], options: EvalOptions) =>
			run(terminal, options, () => evalCommand(terminal, paths, options)),
		);

	policy.addCommand(replayCommand(terminal));
	policy.addCommand(whoCanCommand(terminal));
	return policy;
}

function common(command: Command): Command {
	return command
		.argument('[paths...]', 'folders and files of Rego and data, or one compiled bundle', ['policies'])
		.option('--opa <path>', 'the opa executable')
		.addOption(
			new Option('--memory <size>', 'greatest WebAssembly memory')
				.argParser(parseSize)
				.default(64 * 1024 * 1024, '64MiB'),
		)
		.option('--json', 'print JSON');
}

function parseSize(text: string): number {
	const parsed = size.safeParse(text);
	if (!parsed.success || parsed.data === 0) throw new InvalidArgumentError('Expected a size such as 64MiB.');
	return parsed.data;
}

function parsePhase(text: string): PolicyPath {
	const path = POLICY_PATHS.find(name => name === text);
	if (path === undefined) throw new InvalidArgumentError(`Expected ${POLICY_PATHS.join(', ')}.`);
	return path;
}

function parseRevision(text: string): string {
	if (text === '' || text.length > 256) throw new InvalidArgumentError('Expected 1 to 256 characters.');
	return text;
}

/** Problems of the policy are printed one a line, `FILE:LINE: MESSAGE`, so that editors find the place. */
const run = (terminal: Terminal, options: Options, work: () => Promise<number>): Promise<void> =>
	settle(terminal, () => printFailures(terminal, options.json === true, work));

const opaOf = (options: Options): Promise<Opa> => findOpa(options.opa, process.env);
const limits = (options: Options) => ({ memory: options.memory, builtins: BUILTINS });

async function sourcesOnly(paths: readonly string[]): Promise<void> {
	for (const path of paths)
		if (await isArchive(path)) throw mistake(`${path} is a compiled bundle; sources are needed here`);
}

async function checkCommand(
	terminal: Terminal,
	paths: readonly string[],
	options: Options & { readonly input?: string },
): Promise<number> {
	await sourcesOnly(paths);
	const input = options.input === undefined ? undefined : await readInput(options.input);
	const checked = await checkPolicy(await opaOf(options), paths, {
		...limits(options),
		schema: INPUT_SCHEMA,
		...(input === undefined ? {} : { input }),
	});
	if (options.json === true) {
		const phases = checked.packages.map(({ path, reads, micros, error }) => ({
			phase: path,
			reads: reads ?? null,
			evaluation_us: micros,
			...(error === undefined ? {} : { error }),
		}));
		terminal.out(jsonLine({ ok: true, revision: checked.bundle.revision, phases }));
	} else terminal.out(checkedText(checked, terminal));
	return DONE;
}

async function testCommand(terminal: Terminal, paths: readonly string[], options: Options): Promise<number> {
	await sourcesOnly(paths);
	const now = BigInt(Date.now()) * 1_000_000n;
	const tested = await testPolicy(await opaOf(options), paths, { ...limits(options), now: () => now });
	if (tested.results.length === 0)
		throw mistake(`there are no tests (rules that begin with test_) in ${paths.join(', ')}`);
	terminal.out(
		options.json === true ? jsonLine({ ok: tested.passed, tests: tested.results }) : testedText(tested, terminal),
	);
	return tested.passed ? DONE : FAILURE;
}

interface BuildOptions extends Options {
	readonly output: string;
	readonly revision?: string;
	readonly signingKey?: string;
	readonly keyId?: string;
	readonly scope?: string;
}

async function readKey(file: string): Promise<string> {
	try {
		return await readFile(file, 'utf8');
	} catch {
		throw mistake(`${file} cannot be read`);
	}
}

async function buildCommand(terminal: Terminal, paths: readonly string[], options: BuildOptions): Promise<number> {
	await sourcesOnly(paths);
	const { signingKey, keyId: id, scope } = options;
	if (signingKey === undefined && (id ?? scope) !== undefined)
		throw mistake('--key-id and --scope are of a signature: --signing-key is missing');
	const key = signingKey === undefined ? undefined : await readKey(signingKey);
	const bundle = await compile(await opaOf(options), paths, options.revision);
	// What would be refused when it is loaded is not worth writing.
	await loadBundle('default', bundle, paths.join(', '), limits(options));
	const archive =
		key === undefined
			? bundle.archive
			: await signBundle(bundle.archive, { key, id, scope }).catch((error: Error) => {
					throw mistake(`${signingKey}: ${error.message}`);
				});
	await writeFile(options.output, archive);
	const phases = [...bundle.packages.keys()];
	if (options.json === true)
		terminal.out(
			jsonLine({ ok: true, file: options.output, bytes: archive.length, revision: bundle.revision, phases }),
		);
	else terminal.out(`${options.output}  ${archive.length} bytes  ${phases.join(', ')}\nrevision ${bundle.revision}\n`);
	return DONE;
}

interface EvalOptions extends Options {
	readonly input?: string;
	readonly decision?: string;
	readonly directory: string;
	readonly keep: string;
	readonly phase?: PolicyPath;
}

async function evalCommand(terminal: Terminal, paths: readonly string[], options: EvalOptions): Promise<number> {
	const { input, bundles, phase } = await question(terminal, paths, options);
	const policy = agentPolicy(bundles);
	const verdict = policy.evaluate(phase, input);
	if (options.json === true) {
		const { verdict: kind, cause, reasons, result, error, micros } = verdict;
		terminal.out(
			jsonLine({
				phase,
				verdict: kind,
				cause,
				reasons,
				result: JSON.parse(result),
				error,
				evaluation_us: micros,
				revision: bundles.map(({ revision }) => revision).join(' '),
			}),
		);
	} else terminal.out(verdictText(phase, verdict, terminal));
	return verdict.cause === 'policy_error' ? FAILURE : DONE;
}

/** What is evaluated by what. */
async function question(
	terminal: Terminal,
	paths: readonly string[],
	options: EvalOptions,
): Promise<{ readonly input: string; readonly bundles: readonly LoadedBundle[]; readonly phase: PolicyPath }> {
	const { input: file, decision, directory, keep, memory } = options;
	if ((file === undefined) === (decision === undefined)) throw mistake('either --input or --decision is needed');
	if (decision !== undefined) {
		const { phase, input, missing, bundles } = await recordedDecision(decision, directory, keep, memory);
		if (missing.length > 0)
			terminal.err(`not in the record as it was, so the verdict may differ: ${visible(missing.join(', '))}\n`);
		return { input, bundles, phase: options.phase ?? phase };
	}
	const input = await readInput(file ?? '');
	const bundle = await readAny(paths, () => opaOf(options));
	const bundles = [await loadBundle('default', bundle, paths.join(', '), limits(options))];
	return { input, bundles, phase: options.phase ?? askedBy(input) };
}

/** The text of an input, in as far as everyone reads it in the same way. */
async function readInput(file: string): Promise<string> {
	let bytes: Buffer;
	try {
		bytes = file === '-' ? await readStandardInput() : await readFile(file);
	} catch (error) {
		throw mistake(
			`${file} cannot be read: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'}`,
		);
	}
	if (bytes.length === 0)
		throw mistake(
			`${file === '-' ? 'standard input' : file} is empty: the input of a call is wanted, a JSON object such as \`input\` of a record`,
		);
	const fault = scanJson(bytes, JSON_LIMITS);
	if (fault !== undefined) throw mistake(`${file} is not strict JSON: ${fault.rule} at byte ${fault.offset}`);
	if (bytes.toString('utf8').trim()[0] !== '{') throw mistake(`${file} is not a JSON object`);
	return bytes.toString('utf8');
}

/** One byte more than is taken is enough to see that it is too much. */
async function readStandardInput(): Promise<Buffer> {
	const chunks: Buffer[] = [];
	let length = 0;
	for await (const chunk of process.stdin) {
		chunks.push(Buffer.from(chunk as Uint8Array));
		length += chunks.at(-1)?.length ?? 0;
		if (length > JSON_LIMITS.bytes) break;
	}
	return Buffer.concat(chunks);
}

/** What an input is for, by its own word. */
function askedBy(input: string): PolicyPath {
	const { phase, direction } = JSON.parse(input) as { readonly phase?: unknown; readonly direction?: unknown };
	const named = PHASES.find(name => name === phase) ?? 'request';
	return policyPath(named, direction === 'inbound' ? 'inbound' : 'outbound');
}
