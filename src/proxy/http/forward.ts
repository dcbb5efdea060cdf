import type { Cause, Refused } from '../../model/cause.ts';
import type { CallPermit } from '../../model/permit.ts';
import { isCallPermit, spend } from '../../policy/permit.ts';
import type { AnswerHead } from '../../protocols/http/answer-head.ts';
import { mayTrail, type RawHeaders } from '../../protocols/http/headers.ts';
import type { AnswerTaker, OutgoingRequest } from '../upstream/http-connection.ts';
import type { PooledConnection, UpstreamPool } from '../upstream/pool.ts';
import type { Answer } from './answer.ts';
import { fieldsWithoutEcho, withoutEcho } from './echo.ts';

export interface ForwardEnd {
	readonly cause: Cause;
	/** Status of the answer, when one began. */
	readonly status: number;
	readonly sent: number;
	readonly received: number;
	readonly attempts: number;
	readonly error?: string;
	/** True when nothing was sent to the agent yet: a refusal can still be put in words. */
	readonly silent: boolean;
}

export interface ForwardDeps {
	readonly pool: UpstreamPool;
	/** Of the credential that the request carries. */
	readonly revision: string;
	/** Texts of it, which the head of the answer must not bring to the agent or a record. */
	readonly secrets: readonly string[];
	/** Judges the head of an answer before any of it is sent on; undefined where no policy has a `response` phase. */
	readonly judge: ((status: number, headers: readonly string[], done: (refusal?: Refused) => void) => void) | undefined;
	readonly done: (end: ForwardEnd) => void;
}

// RFC 9110 §9.2.2: sending these twice is as good as once.
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/**
 * One permitted request on its way: takes or opens a connection, sends, and streams the answer back under
 * back-pressure. Ends once.
 */
export class Forward implements AnswerTaker {
	/** Milliseconds, monotonic: when a byte last moved, for time limits. */
	lastByte = performance.now();
	/** True while the answer has not begun. */
	waiting = true;
	readonly #permit: CallPermit;
	readonly #request: OutgoingRequest;
	readonly #answer: Answer;
	readonly #deps: ForwardDeps;
	#connection: PooledConnection | undefined;
	#stopOpening: (() => void) | undefined;
	#status = 0;
	#sent = 0;
	#received = 0;
	#attempts = 0;
	#over = false;
	/** Head that is held back to go out with the first bytes. */
	#head: AnswerHead | undefined;
	/** Length that the answer declares: its last chunk goes out together with the end. */
	#length: number | undefined;
	#last: Buffer | undefined;
	/** True while the head of the answer is being judged: nothing of it goes on. */
	#judging = false;
	/** The end of the answer, when it came meanwhile. */
	#ending: (() => void) | undefined;

	constructor(permit: CallPermit, request: OutgoingRequest, answer: Answer, deps: ForwardDeps) {
		this.#permit = permit;
		this.#request = request;
		this.#answer = answer;
		this.#deps = deps;
	}

	start(): void {
		const { pool } = this.#deps;
		const slot = pool.slotOf(this.#permit, this.#deps.revision);
		const idle = this.#attempts === 0 ? pool.takeIdle(slot, this.#permit.conn) : undefined;
		if (idle !== undefined) {
			this.#dispatch(idle);
			return;
		}
		this.#stopOpening = pool.open(slot, this.#permit, result => {
			this.#stopOpening = undefined;
			if ('cause' in result) this.#finish(result.cause, result.detail);
			else if (this.#over) pool.release(result);
			else this.#dispatch(result);
		});
	}

	#dispatch(connection: PooledConnection): void {
		this.#connection = connection;
		const permit = this.#permit;
		// The last thing looked at: a permit of ours, whose life lasts, and which is not spent.
		if (permit.life.ended || !isCallPermit(permit) || !spend(permit)) {
			connection.destroy();
			this.#connection = undefined;
			this.#finish(permit.life.cause ?? 'no_rule');
			return;
		}
		this.#attempts++;
		connection.send(this.#request, this);
	}

	/** Stops both sides; the cause is what the outcome says. */
	abort(cause: Cause, error?: string): void {
		if (this.#over) return;
		this.#stopOpening?.();
		this.#finish(cause, error);
		this.#connection?.destroy();
	}

	sent(bytes: number): void {
		this.#sent += bytes;
		this.lastByte = performance.now();
	}

	/** Early hints (RFC 8297): only their Link fields are of use to anybody. Where answers are judged nobody judged these. */
	interim(early: AnswerHead): void {
		const { status, list } = withoutEcho(early, this.#deps.secrets);
		if (this.#over || status !== 103 || this.#deps.judge !== undefined) return;
		const links: string[] = [];
		for (let index = 0; index + 1 < list.length; index += 2)
			if (list[index]?.toLowerCase() === 'link') links.push(list[index] ?? '', list[index + 1] ?? '');
		if (links.length > 0) this.#answer.interim(103, 'Early Hints', links);
	}

	head(received: AnswerHead): void {
		if (this.#over) return;
		const head = withoutEcho(received, this.#deps.secrets);
		this.lastByte = performance.now();
		this.waiting = false;
		this.#status = head.status;
		this.#head = head;
		this.#length = head.framing?.kind === 'length' ? head.framing.length : undefined;
		const { judge } = this.#deps;
		if (judge === undefined) {
			// What comes in the same packet goes out in the same packet; a head whose body is late goes out alone.
			if (head.framing !== undefined) queueMicrotask(this.#sendHead);
			return;
		}
		const connection = this.#connection;
		connection?.pause();
		this.#judging = true;
		judge(head.status, head.list, refusal => {
			this.#judging = false;
			if (this.#over) return;
			if (refusal !== undefined) {
				this.#head = undefined;
				this.abort(refusal.cause, refusal.detail);
				return;
			}
			this.#sendHead();
			// One that was given back meanwhile is another call's.
			if (this.#connection === connection) connection?.resume();
			this.#ending?.();
		});
	}

	#beginAnswer(): void {
		const head = this.#head;
		if (head === undefined) return;
		this.#head = undefined;
		this.#answer.begin(head.status, head.phrase, head.list);
	}

	readonly #sendHead = (): void => {
		if (this.#over || this.#head === undefined) return;
		this.#beginAnswer();
		this.#answer.flush();
	};

	data(part: Buffer): void {
		if (this.#over) return;
		if (this.#judging) {
			this.abort('unknown', 'internal: an answer went on before its verdict');
			return;
		}
		this.#received += part.length;
		this.lastByte = performance.now();
		if (this.#length !== undefined && this.#received === this.#length) {
			this.#last = part;
			return;
		}
		this.#beginAnswer();
		if (this.#answer.write(part)) return;
		const connection = this.#connection;
		connection?.pause();
		this.#answer.onDrain(() => {
			this.lastByte = performance.now();
			if (this.#connection === connection) connection?.resume();
		});
	}

	end(trailers: RawHeaders): void {
		if (this.#over) return;
		const connection = this.#connection;
		this.#connection = undefined;
		if (connection !== undefined) this.#deps.pool.release(connection);
		// An answer without a body ends although it is paused; it waits for the verdict all the same.
		if (this.#judging) this.#ending = () => this.#complete([]);
		else this.#complete(fieldsWithoutEcho(trailers, this.#deps.secrets));
	}

	#complete(trailers: RawHeaders): void {
		this.#beginAnswer();
		// Where answers are judged nobody judged these.
		this.#answer.end(this.#last, this.#deps.judge === undefined && trailers.length > 0 ? trailing(trailers) : []);
		this.#finish('completed');
	}

	broken(error: string, stale: boolean): void {
		this.#connection = undefined;
		if (this.#over) return;
		const { body, method } = this.#request;
		// An idle connection that the upstream closed in the same moment: once more, where that does no harm.
		if (
			stale &&
			this.#attempts === 1 &&
			IDEMPOTENT.has(method) &&
			(body === null || Buffer.isBuffer(body)) &&
			!this.#permit.life.ended
		) {
			this.start();
			return;
		}
		this.#finish('upstream_reset', error);
	}

	#finish(cause: Cause, error?: string): void {
		if (this.#over) return;
		this.#over = true;
		const silent = !this.#answer.started;
		this.#deps.done({
			cause,
			status: this.#status,
			sent: this.#sent,
			received: this.#received,
			attempts: this.#attempts,
			silent,
			...(error === undefined ? {} : { error }),
		});
	}
}

/** Of the fields behind a body those that may stand there (RFC 9110 §6.5.1). */
function trailing(trailers: RawHeaders): string[] {
	const kept: string[] = [];
	for (let index = 0; index + 1 < trailers.length; index += 2)
		if (mayTrail(trailers[index] as string)) kept.push(trailers[index] as string, trailers[index + 1] as string);
	return kept;
}
