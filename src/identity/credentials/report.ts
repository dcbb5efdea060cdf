import type { CredentialNews } from './keeper.ts';
import type { CredentialStatus } from './set.ts';

interface Log {
	info(facts: Readonly<Record<string, unknown>>, message: string): void;
	warn(facts: Readonly<Record<string, unknown>>, message: string): void;
	error(facts: Readonly<Record<string, unknown>>, message: string): void;
}

/** Writes to the log what became of a look at the source of a credential. */
export function logCredential(log: Log, { kind, from, valid, problem }: CredentialNews): void {
	const facts = { source: kind, from };
	if (problem === undefined) log.info(facts, 'a credential has a new value');
	else if (valid) log.warn({ ...facts, problem }, 'a credential could not be renewed; the value before stays in use');
	else log.error({ ...facts, problem }, 'a credential has no valid value: calls that need it are refused');
}

/** What readiness says of credentials. Agents can read it: what is wrong is for `status`. */
export const missingCredentials = (
	all: readonly CredentialStatus[],
): readonly { readonly part: string; readonly reason: string }[] =>
	all
		.filter(({ valid }) => !valid)
		.map(({ upstream, credential }) => ({
			part: 'credentials',
			reason: `${upstream} ${credential} has no valid value; \`sallyport status\` says why`,
		}));

/** Whether the last look at every source brought something. */
export const allTaken = (all: readonly CredentialStatus[]): boolean =>
	all.every(({ sources }) => sources.every(({ problem }) => problem === undefined));
