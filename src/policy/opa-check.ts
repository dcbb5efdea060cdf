import { posix } from 'node:path';
import { parseDocument } from 'yaml';
import type { Opa } from './opa.ts';
import { PolicyError, type Problem } from './problem.ts';
import type { SourceFile } from './sources.ts';

/** What `opa` says is wrong with staged files, in the words and places of their author. */

interface Checked {
	readonly errors?: readonly {
		readonly message: string;
		readonly location?: { readonly file?: string; readonly row?: number };
	}[];
}

/** Throws what `opa check` finds wrong; its errors come with file and line. */
export async function check(
	opa: Opa,
	files: readonly SourceFile[],
	folder: string,
	more: readonly string[] = [],
): Promise<void> {
	const problems = await problemsOfCheck(opa, files, folder, more);
	if (problems.length > 0) throw new PolicyError(problems);
}

/** The same as a list; empty when `opa check` finds nothing. */
export async function problemsOfCheck(
	opa: Opa,
	files: readonly SourceFile[],
	folder: string,
	more: readonly string[] = [],
): Promise<readonly Problem[]> {
	const { status, stdout, stderr } = await opa.run(['check', '-b', '.', '--format', 'json', ...more], { cwd: folder });
	if (status === 0) return [];
	let errors: Checked['errors'];
	try {
		errors = (JSON.parse(stderr.startsWith('{') ? stderr : stdout) as Checked).errors;
	} catch {
		errors = undefined;
	}
	if (errors === undefined || errors.length === 0) return problemsIn(stderr, files);
	return errors.map(({ message, location }) => {
		const file = location?.file === undefined || location.file === '' ? undefined : original(location.file, files);
		if (file === undefined) return dataProblem(message, files) ?? { message };
		return { message, file, ...(location?.row === undefined ? {} : { line: location.row }) };
	});
}

/** Problems in what `opa` prints: lines such as `error: … FILE:LINE: CODE: MESSAGE`. */
export function problemsIn(output: string, files: readonly SourceFile[]): readonly Problem[] {
	const found: Problem[] = [];
	for (const line of output.split('\n')) {
		const match = /(?:^|\s)([^\s:]+\.(?:rego|json|ya?ml)):(\d+): (?:\w+_error: )?(.+)$/.exec(line);
		if (match !== null)
			found.push({ file: original(match[1] ?? '', files), line: Number(match[2]), message: match[3] ?? '' });
	}
	if (found.length > 0) return found;
	let text = output.trim();
	for (const file of files) text = text.replaceAll(file.staged, file.path);
	return [dataProblem(output, files) ?? { message: text === '' ? '`opa` failed and gave no reason' : text }];
}

/**
 * Data that `opa` cannot read. It names the staged file and often no line; what reads YAML, and so JSON, here does.
 * What is kept of the parser's words is the first line: the others repeat the author's text.
 */
function dataProblem(message: string, files: readonly SourceFile[]): Problem | undefined {
	const match = /bundle load failed on (\S+?): ([\s\S]+)$/.exec(message);
	if (match === null) return undefined;
	const staged = posix.normalize(match[1] ?? '').replace(/^\/+/, '');
	const data = files.find(file => file.kind === 'data' && file.staged === staged);
	if (data === undefined) return undefined;
	const [error] = parseDocument(data.bytes.toString('utf8')).errors;
	const [at] = error?.linePos ?? [];
	if (error !== undefined && at !== undefined)
		return {
			message: error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? '',
			file: data.path,
			line: at.line,
		};
	const line = /\bline (\d+)/.exec(match[2] ?? '')?.[1];
	return { message: (match[2] ?? '').trim(), file: data.path, ...(line === undefined ? {} : { line: Number(line) }) };
}

function original(staged: string, files: readonly SourceFile[]): string {
	const clean = posix.normalize(staged).replace(/^\/+/, '');
	return files.find(file => file.staged === clean)?.path ?? clean;
}
