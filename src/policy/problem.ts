/** What is wrong with a policy, for its author. */
export interface Problem {
	readonly message: string;
	/** As the author knows it. */
	readonly file?: string;
	/** From 1. */
	readonly line?: number;
}

/** A policy that cannot be loaded or compiled: every problem that was found. */
export class PolicyError extends Error {
	readonly problems: readonly Problem[];

	constructor(problems: readonly Problem[]) {
		super(problems.map(printProblem).join('\n'));
		this.problems = problems;
	}
}

export function printProblem({ file, line, message }: Problem): string {
	if (file === undefined) return message;
	return line === undefined ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}

export const problem = (message: string, file?: string, line?: number): PolicyError =>
	new PolicyError([{ message, ...(file === undefined ? {} : { file }), ...(line === undefined ? {} : { line }) }]);

/** The problems of anything that was thrown. */
export function problemsOf(error: unknown): readonly Problem[] {
	if (error instanceof PolicyError) return error.problems;
	return [{ message: error instanceof Error ? error.message : String(error) }];
}

/** What is wrong with the bundle has the place already; what is wrong with the server has it not. */
export const placed = (problem: string, url: string): string =>
	problem.includes(url) ? problem : `${url}: ${problem}`;
