import { SALLYPORT } from './folder.ts';
import { type Ran, runProgramOf } from './program.ts';
import type { Stage } from './stage.ts';

/** The agents of the demo: programs in demo/agents/, each call a process of its own. */

export interface Answer {
	/** HTTP status, `rows`, the severity and code of a database's error, or `nothing`. */
	readonly mark: string;
	/** What was answered. */
	readonly body: unknown;
	/** As the refusal names it. */
	readonly decisionId?: string;
	/** What the program complained about. */
	readonly said?: string;
}

/** HTTP by mutual TLS with the proxy; without an agent, no certificate is shown. */
export async function svidAgent(
	{ folder, environment }: Stage,
	agent: string | undefined,
	words: readonly string[],
): Promise<Answer> {
	const env = {
		...environment,
		SALLYPORT_PROXY: `https://localhost:${folder.port(17_401)}`,
		SALLYPORT_CA: folder.at('certs', 'ca.pem'),
		...(agent === undefined
			? {}
			: { SALLYPORT_CERT: folder.at('certs', `${agent}.pem`), SALLYPORT_KEY: folder.at('certs', `${agent}.key`) }),
	};
	return answerOf(
		await runProgramOf(process.execPath, [folder.at('agents', 'researcher.mjs'), ...words], { cwd: folder.path, env }),
	);
}

/** HTTP by a program that was not changed, with a token. */
export const plainAgent = (stage: Stage, agent: string, words: readonly string[]): Promise<Answer> =>
	underExec(stage, agent, 'clerk.mjs', words);

/** SQL by a program that was not changed; the agent has a door to the database, and no token for the proxy. */
export const databaseAgent = (stage: Stage, agent: string): Promise<Answer> =>
	underExec(stage, agent, 'orders.mjs', [], ['--doors-only']);

async function underExec(
	{ folder, environment }: Stage,
	agent: string,
	program: string,
	words: readonly string[],
	options: readonly string[] = [],
): Promise<Answer> {
	const args = [
		'exec',
		'--agent',
		agent,
		'--config',
		folder.config,
		'--quiet',
		...options,
		'--',
		process.execPath,
		folder.at('agents', program),
		...words,
	];
	return answerOf(await runProgramOf(SALLYPORT, args, { cwd: folder.path, env: environment }));
}

function answerOf({ stdout, stderr, status }: Ran): Answer {
	const said = bodyOf(parsed(stdout));
	const { status: http, body, rows, error, code, severity, hint } = said;
	if (typeof http === 'number') {
		const id = bodyOf(body)['decision_id'];
		return { mark: String(http), body, ...(typeof id === 'string' ? { decisionId: id } : {}) };
	}
	if (Array.isArray(rows)) return { mark: 'rows', body: rows[0] };
	const id = /[0-9a-f-]{36}/.exec(String(hint))?.[0];
	return {
		mark: typeof code === 'string' ? `${String(severity)} ${code}` : 'nothing',
		body: undefined,
		...(id === undefined ? {} : { decisionId: id }),
		said: typeof error === 'string' ? error : stderr.trim() === '' ? `it ended with status ${status}` : stderr.trim(),
	};
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text) as unknown;
	} catch {
		return undefined;
	}
}

/** An object's fields; none for anything else. */
export const bodyOf = (value: unknown): Readonly<Record<string, unknown>> =>
	typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
