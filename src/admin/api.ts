import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasBody } from '../formats/message-body.ts';
import type { Recorder } from '../model/ports.ts';
import type { Operator } from './operators.ts';
import { answerJson, answerProblem } from './problem.ts';
import { RevocationsApi, type RevocationsApiDeps } from './revocations.ts';

/** Something that a reload did not take. */
export interface ReloadProblem {
	/** `config`, `identity`, `policy` or `revocations`. */
	readonly part?: string;
	readonly file?: string;
	/** From 1; 0 or absent when it concerns the file as a whole. */
	readonly line?: number;
	readonly column?: number;
	/** `listeners[0].address`. */
	readonly path?: string;
	readonly message: string;
}

export interface ReloadOutcome {
	/** Empty when everything was taken; what is named here stays as it was before. */
	readonly problems: readonly ReloadProblem[];
	/** Sections of the configuration that changed and need a restart. */
	readonly restart: readonly string[];
}

export interface ApiDeps extends RevocationsApiDeps {
	readonly recorder: Pick<Recorder, 'control'>;
	/** The body of `GET /v1/status`. */
	status(): object;
	/** Reads configuration, identity, policy and the list of revocations again; what is in force afterwards is in force when it resolves. */
	reload(): Promise<ReloadOutcome>;
}

interface Endpoint {
	/** The action in the record that each use leaves before it happens; absent where the endpoint writes it itself. */
	readonly action?: string;
	/** Whether it takes a query or a body; most take neither. */
	readonly takes?: 'query' | 'body';
	run(operator: Operator, response: ServerResponse, request: IncomingMessage): Promise<void>;
}

/** By method. */
type Endpoints = Readonly<Partial<Record<string, Endpoint>>>;

/** What operators can ask for, once they are known. docs/control.md describes it. */
export class Api {
	readonly #recorder: Pick<Recorder, 'control'>;
	readonly #endpoints: ReadonlyMap<string, Endpoints>;
	#turn: Promise<unknown> = Promise.resolve();

	constructor(deps: ApiDeps) {
		this.#recorder = deps.recorder;
		const revocations = new RevocationsApi(deps);
		this.#endpoints = new Map<string, Endpoints>([
			[
				'/v1/status',
				{ GET: { action: 'status', run: async (_operator, response) => answerJson(response, 200, deps.status()) } },
			],
			[
				'/v1/reload',
				{ POST: { action: 'reload', run: (operator, response) => this.#reload(deps, operator, response) } },
			],
			[
				'/v1/revocations',
				{
					GET: { run: async (operator, response) => revocations.list(operator, response) },
					POST: {
						takes: 'body',
						run: (operator, response, request) => revocations.revoke(operator, request, response),
					},
					DELETE: {
						takes: 'query',
						run: (operator, response, request) => revocations.undo(operator, whatOf(request), response),
					},
				},
			],
		]);
	}

	serve(operator: Operator, request: IncomingMessage, response: ServerResponse): void {
		const [path = '', query] = (request.url ?? '').split('?', 2);
		const endpoints = this.#endpoints.get(path);
		const endpoint = endpoints === undefined ? undefined : own(endpoints, request.method ?? '');
		if (request.headers.origin !== undefined) {
			// A page in an operator's browser must not act in the operator's name.
			answerProblem(response, { status: 403, title: 'Requests of web pages are not taken.' });
		} else if (endpoints === undefined) {
			answerProblem(response, {
				status: 404,
				title: 'There is no such endpoint.',
				detail: `There are: ${[...this.#endpoints.keys()].join(', ')}.`,
			});
		} else if (endpoint === undefined) {
			const methods = Object.keys(endpoints).join(', ');
			answerProblem(response, { status: 405, title: `This endpoint takes ${methods}.` }, ['allow', methods]);
		} else if (
			(query !== undefined && endpoint.takes !== 'query') ||
			(hasBody(request.headers) && endpoint.takes !== 'body')
		) {
			const title =
				endpoint.takes === undefined
					? 'This endpoint takes no query and no body.'
					: `This endpoint takes a ${endpoint.takes} only.`;
			answerProblem(response, { status: 400, title });
		} else {
			const { action } = endpoint;
			if (action !== undefined) this.#recorder.control({ action, operator: operator.name, detail: operator.detail });
			endpoint.run(operator, response, request).catch((error: unknown) => {
				answerProblem(response, {
					status: 500,
					title: 'It failed.',
					detail: error instanceof Error ? error.message : String(error),
				});
			});
		}
	}

	/** One after the other: each answer tells of its own reload. */
	#reload({ reload, recorder }: ApiDeps, operator: Operator, response: ServerResponse): Promise<void> {
		const turn = this.#turn.then(async () => {
			let outcome: ReloadOutcome;
			try {
				outcome = await reload();
			} catch (error) {
				recorder.control({
					action: 'reload_result',
					operator: operator.name,
					detail: { taken: false, error: error instanceof Error ? error.message : String(error) },
				});
				throw error;
			}
			const { problems, restart } = outcome;
			const taken = problems.length === 0;
			recorder.control({
				action: 'reload_result',
				operator: operator.name,
				detail: { taken, problems: problems.length, restart },
			});
			if (taken) answerJson(response, 200, { taken, restart });
			else {
				answerProblem(response, {
					status: 422,
					type: 'urn:sallyport:reload',
					title: 'Not everything was taken; what was in force before still is.',
					more: { taken, problems, restart },
				});
			}
		});
		this.#turn = turn.catch(() => {});
		return turn;
	}
}

const own = (endpoints: Endpoints, method: string): Endpoint | undefined =>
	Object.hasOwn(endpoints, method) ? endpoints[method] : undefined;

/** `?what=…`, percent-encoded; undefined when it is not exactly that. */
function whatOf({ url = '' }: IncomingMessage): string | undefined {
	const [, text] = /^[^?]*\?what=([^&]+)$/.exec(url) ?? [];
	try {
		return text === undefined ? undefined : decodeURIComponent(text);
	} catch {
		return undefined;
	}
}
