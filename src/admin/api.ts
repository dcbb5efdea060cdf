import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasBody } from '../formats/message-body.ts';
import type { Recorder } from '../model/ports.ts';
import type { Operator } from './operators.ts';
import { answerJson, answerProblem } from './problem.ts';

/** Something that a reload did not take. */
export interface ReloadProblem {
	/** `config`, `identity` or `policy`. */
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

export interface ApiDeps {
	readonly recorder: Pick<Recorder, 'control'>;
	/** The body of `GET /v1/status`. */
	status(): object;
	/** Reads configuration, identity and policy again; what is in force afterwards is in force when it resolves. */
	reload(): Promise<ReloadOutcome>;
}

interface Endpoint {
	readonly method: 'GET' | 'POST';
	/** The action in the record that each use leaves before it happens. */
	readonly action: string;
	run(operator: Operator, response: ServerResponse): Promise<void>;
}

/** What operators can ask for, once they are known. docs/control.md describes it. */
export class Api {
	readonly #recorder: Pick<Recorder, 'control'>;
	readonly #endpoints: ReadonlyMap<string, Endpoint>;
	#turn: Promise<unknown> = Promise.resolve();

	constructor(deps: ApiDeps) {
		this.#recorder = deps.recorder;
		this.#endpoints = new Map<string, Endpoint>([
			[
				'/v1/status',
				{
					method: 'GET',
					action: 'status',
					run: async (_operator, response) => answerJson(response, 200, deps.status()),
				},
			],
			[
				'/v1/reload',
				{ method: 'POST', action: 'reload', run: (operator, response) => this.#reload(deps, operator, response) },
			],
		]);
	}

	serve(operator: Operator, request: IncomingMessage, response: ServerResponse): void {
		const [path = '', query] = (request.url ?? '').split('?', 2);
		const endpoint = this.#endpoints.get(path);
		if (request.headers.origin !== undefined) {
			// A page in an operator's browser must not act in the operator's name.
			answerProblem(response, { status: 403, title: 'Requests of web pages are not taken.' });
		} else if (endpoint === undefined) {
			answerProblem(response, {
				status: 404,
				title: 'There is no such endpoint.',
				detail: `There are: ${[...this.#endpoints.keys()].join(', ')}.`,
			});
		} else if (request.method !== endpoint.method) {
			answerProblem(response, { status: 405, title: `This endpoint takes ${endpoint.method}.` }, [
				'allow',
				endpoint.method,
			]);
		} else if (query !== undefined || hasBody(request.headers)) {
			answerProblem(response, { status: 400, title: 'This endpoint takes no query and no body.' });
		} else {
			this.#recorder.control({ action: endpoint.action, operator: operator.name, detail: operator.detail });
			endpoint.run(operator, response).catch((error: unknown) => {
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
