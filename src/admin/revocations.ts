import type { IncomingMessage, ServerResponse } from 'node:http';
import { scanJson } from '../formats/json.ts';
import { type Revocation, reasonProblem, revocationJson } from '../identity/revocation/entry.ts';
import { effectJson, type RevocationsInForce } from '../identity/revocation/revocations.ts';
import { readSubject, type Subject } from '../identity/revocation/subject.ts';
import type { Clock, Recorder } from '../model/ports.ts';
import type { ControlRecord } from '../model/record.ts';
import type { Operator } from './operators.ts';
import { answerJson, answerProblem, type ProblemDetails } from './problem.ts';

export interface RevocationsApiDeps {
	readonly revocations: Pick<RevocationsInForce, 'list' | 'refusal' | 'revoke' | 'revoked' | 'undo'>;
	readonly recorder: Pick<Recorder, 'control'>;
	readonly clock: Clock;
}

/** Greatest body, bytes. */
const MAX_BODY = 16 * 1024;
/** The greatest that is read to its end, bytes, so that whoever sent it can be told that it is too large. */
const MAX_READ = 1024 * 1024;
/** How long a revocation waits for its record, milliseconds: a slow disk must not keep an agent connected. */
const RECORD_PATIENCE = 50;
/** How long an answer waits to say whether the record was written, milliseconds. */
const ANSWER_PATIENCE = 10_000;
/** The furthest that an end may lie ahead, seconds: a hundred years. */
const LONGEST = 100 * 366 * 86_400;
const MEMBERS: ReadonlySet<string> = new Set(['what', 'reason', 'for_seconds']);

/** What `POST` asks for. */
interface Order {
	readonly subject: Subject;
	readonly reason: string;
	readonly seconds: number | undefined;
}

/** `/v1/revocations`: ends agents' access, gives it back, says whose is ended. docs/revocation.md describes it. */
export class RevocationsApi {
	readonly #deps: RevocationsApiDeps;

	constructor(deps: RevocationsApiDeps) {
		this.#deps = deps;
	}

	list(operator: Operator, response: ServerResponse): void {
		this.#deps.recorder.control({ action: 'revocations', operator: operator.name, detail: operator.detail });
		const revocations = this.#deps.revocations
			.list()
			.map(({ revocation, from }) => ({ ...revocationJson(revocation), from }));
		answerJson(response, 200, { revocations });
	}

	/** Takes effect whether or not the record can be written, and the answer says so: what ends access must not wait for a disk. */
	async revoke(operator: Operator, request: IncomingMessage, response: ServerResponse): Promise<void> {
		const begun = performance.now();
		const order = orderOf(await bodyOf(request));
		if (typeof order === 'string') {
			this.#refuse(operator, 'revoke', response, { status: 400, title: 'This is no revocation.', detail: order });
			return;
		}
		const { revocations, clock } = this.#deps;
		const since = clock.now();
		const { subject, reason, seconds } = order;
		const until = seconds === undefined ? undefined : since + seconds * 1000;
		const revocation: Revocation = {
			...subject,
			reason,
			operator: operator.name,
			since,
			...(until === undefined ? {} : { until }),
		};
		const full = revocations.refusal(revocation);
		if (full !== undefined) {
			const detail = `${full}: undo some first`;
			this.#refuse(operator, 'revoke', response, { status: 409, title: 'It was not taken.', detail });
			return;
		}
		const shown = revocationJson(revocation);
		const detail = { ...operator.detail, ...aboutOf(revocation) };
		const record = { action: 'revoke', operator: operator.name, detail };
		const writing = this.#recorded(record);
		await inTime(writing, RECORD_PATIENCE);
		const { replaced, unkept, ...effect } = await revocations.revoke(revocation, begun);
		const recorded = await inTime(writing, ANSWER_PATIENCE);
		// What could not be written before is kept for when it can be.
		if (recorded === false) this.#deps.recorder.control(record);
		const result = {
			replaced,
			...effectJson(effect),
			recorded: recorded === true,
			kept: unkept === undefined,
		};
		this.#deps.recorder.control({
			action: 'revoke_result',
			operator: operator.name,
			detail: { what: revocation.what, ...result, ...(unkept === undefined ? {} : { error: unkept }) },
		});
		const problems = [
			...(result.recorded ? [] : ['It is in force, but was not written down first: records cannot be written now.']),
			...(unkept === undefined
				? []
				: [`It is in force, but only until Sallyport ends: it could not be kept (${unkept}).`]),
		];
		answerJson(response, 200, { revocation: shown, ...result, ...(problems.length === 0 ? {} : { problems }) });
	}

	/** Gives access back only once that is written down. */
	async undo(operator: Operator, what: string | undefined, response: ServerResponse): Promise<void> {
		const subject = what === undefined ? { broken: 'the query has no `what`' } : readSubject(what);
		if ('broken' in subject) {
			const problem = { status: 400, title: 'This names no revocation.', detail: subject.broken };
			this.#refuse(operator, 'revoke_undo', response, problem);
			return;
		}
		const detail = { ...operator.detail, what: subject.what };
		const record = { action: 'revoke_undo', operator: operator.name, detail };
		if ((await inTime(this.#recorded(record), ANSWER_PATIENCE)) !== true) {
			answerProblem(response, {
				status: 503,
				type: 'urn:sallyport:cause:audit_unavailable',
				title: 'It was not undone: that cannot be written down now.',
			});
			return;
		}
		const undone = await this.#deps.revocations.undo(subject.what);
		this.#deps.recorder.control({
			action: 'revoke_undo_result',
			operator: operator.name,
			detail: { what: subject.what, undone: 'revocation' in undone },
		});
		if ('missing' in undone)
			answerProblem(response, { status: 404, title: 'It was not undone.', detail: undone.missing });
		else answerJson(response, 200, { undone: revocationJson(undone.revocation) });
	}

	/** An order that is not taken leaves a record of its own. */
	#refuse(
		operator: Operator,
		action: 'revoke' | 'revoke_undo',
		response: ServerResponse,
		problem: ProblemDetails & { readonly detail: string },
	): void {
		this.#deps.recorder.control({
			action: `${action}_refused`,
			operator: operator.name,
			detail: { ...operator.detail, status: problem.status, error: problem.detail },
		});
		answerProblem(response, problem);
	}

	/** Whether it was written. */
	#recorded(record: ControlRecord): Promise<boolean> {
		return new Promise(resolve => this.#deps.recorder.control(record, refusal => resolve(refusal === undefined)));
	}
}

/** Undefined when it takes longer, milliseconds. */
async function inTime<T>(result: Promise<T>, patience: number): Promise<T | undefined> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<undefined>(resolve => {
		timer = setTimeout(() => resolve(undefined), patience);
	});
	const first = await Promise.race([result, late]);
	clearTimeout(timer);
	return first;
}

/** What records say of it beside the operator. */
const aboutOf = (revocation: Revocation): Readonly<Record<string, unknown>> => {
	const { what, reason, until } = revocationJson(revocation);
	return { what, reason, ...(until === undefined ? {} : { until }) };
};

function orderOf(body: Buffer | string): Order | string {
	if (typeof body === 'string') return body;
	if (scanJson(body, { depth: 4, bytes: MAX_BODY }) !== undefined) return 'the body is no JSON';
	const value: unknown = JSON.parse(body.toString('utf8'));
	if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the body is no JSON object';
	if (Object.keys(value).some(key => !MEMBERS.has(key)))
		return `the body has a member other than ${[...MEMBERS].map(name => `\`${name}\``).join(', ')}`;
	const { what, reason, for_seconds: seconds }: Readonly<Record<string, unknown>> = { ...value };
	if (typeof what !== 'string') return '`what` is missing';
	const subject = readSubject(what);
	if ('broken' in subject) return subject.broken;
	const problem = reasonProblem(reason);
	if (problem !== undefined || typeof reason !== 'string') return problem ?? '';
	if (seconds === undefined) return { subject, reason, seconds };
	if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0 || seconds > LONGEST)
		return '`for_seconds` is no number of seconds';
	return { subject, reason, seconds };
}

/** The whole body, or what is wrong with it. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | string> {
	const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
	if (type !== 'application/json') return 'expected a body of the type application/json';
	const chunks: Buffer[] = [];
	let bytes = 0;
	for await (const chunk of request) {
		if (!Buffer.isBuffer(chunk)) continue;
		bytes += chunk.length;
		// The request, and the connection with it, ends with the loop.
		if (bytes > MAX_READ) break;
		if (bytes <= MAX_BODY) chunks.push(chunk);
	}
	if (bytes > MAX_BODY) return `the body is larger than ${MAX_BODY / 1024} KiB`;
	return Buffer.concat(chunks);
}
