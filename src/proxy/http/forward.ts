import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Cause, Refused } from '../../model/cause.ts';
import type { CallPermit } from '../../model/permit.ts';
import { isCallPermit, spend } from '../../policy/permit.ts';
import { answeredHeaders, mayTrail } from '../../protocols/http/headers.ts';
import type { UpstreamConnection, UpstreamPool } from '../upstream/pool.ts';

/** What goes upstream: exactly what was judged. */
export interface Forwarded {
	readonly method: string;
	/** Path and query, byte for byte. */
	readonly path: string;
	/** End-to-end fields, Host first. */
	readonly headers: string[];
	readonly body: Buffer | IncomingMessage | null;
}

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
	/** Judges the head of an answer before any of it is sent on; undefined where no policy has a `response` phase. */
	readonly judge: ((status: number, headers: readonly string[], done: (refusal?: Refused) => void) => void) | undefined;
	readonly done: (end: ForwardEnd) => void;
}

// RFC 9110 §9.2.2: sending these twice is as good as once.
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** How a connection ends that its other side closed. */
const CLOSED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** Last chunks up to this length go out in one write with the head. */
const ONE_WRITE = 8192;

/**
 * One permitted request on its way: takes or opens a connection, sends, and streams the answer back under
 * back-pressure. Ends once.
 */
export class Forward implements Dispatcher.DispatchHandler {
	/** Milliseconds, monotonic: when a byte last moved, for time limits. */
	lastByte = performance.now();
	/** True while the answer has not begun. */
	waiting = true;
	readonly #permit: CallPermit;
	readonly #request: Forwarded;
	readonly #response: ServerResponse;
	readonly #deps: ForwardDeps;
	#controller: Dispatcher.DispatchController | undefined;
	#connection: UpstreamConnection | undefined;
	#stopOpening: (() => void) | undefined;
	#status = 0;
	#sent = 0;
	#received = 0;
	#attempts = 0;
	#over = false;
	/** Head that is held back to go out with the first bytes. */
	#head: string[] | undefined;
	#phrase = '';
	/** Length that the answer declares: its last chunk goes out together with the end. */
	#length: number | undefined;
	#last: Buffer | undefined;
	/** True while the head of the answer is being judged: nothing of it goes on. */
	#judging = false;
	/** The end of the answer, when it came meanwhile. */
	#ending: (() => void) | undefined;

	constructor(permit: CallPermit, request: Forwarded, response: ServerResponse, deps: ForwardDeps) {
		this.#permit = permit;
		this.#request = request;
		this.#response = response;
		this.#deps = deps;
	}

	start(): void {
		const { pool } = this.#deps;
		const slot = pool.slotOf(this.#permit);
		const idle = this.#attempts === 0 ? pool.takeIdle(slot) : undefined;
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

	#dispatch(connection: UpstreamConnection): void {
		this.#connection = connection;
		const { method, path, headers, body } = this.#request;
		const permit = this.#permit;
		// The last thing looked at: a permit of ours, whose life lasts, and which is not spent.
		if (permit.life.ended || !isCallPermit(permit) || !spend(permit)) {
			connection.destroy();
			this.#connection = undefined;
			this.#finish(permit.life.cause ?? 'no_rule');
			return;
		}
		this.#attempts++;
		connection.client.dispatch({ method: method as Dispatcher.HttpMethod, path, headers, body, blocking: false }, this);
	}

	/** Stops both sides; the cause is what the outcome says. */
	abort(cause: Cause, error?: string): void {
		if (this.#over) return;
		this.#stopOpening?.();
		const controller = this.#controller;
		this.#finish(cause, error);
		if (controller !== undefined && !controller.aborted) controller.abort(new Error(cause));
		this.#connection?.destroy();
	}

	onRequestStart(controller: Dispatcher.DispatchController): void {
		this.#controller = controller;
		if (this.#over) controller.abort(new Error('over'));
	}

	onBodySent(chunkSize: number, totalBytesSent: number): void;
	onBodySent(chunk: Buffer): void;
	onBodySent(chunk: Buffer | number): void {
		this.#sent += typeof chunk === 'number' ? chunk : chunk.length;
		this.lastByte = performance.now();
	}

	onRequestUpgrade(controller: Dispatcher.DispatchController): void {
		controller.abort(new Error('the upstream switched protocols unasked'));
	}

	onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, phrase?: string): void {
		if (this.#over) return;
		const { list, length, ambiguous } = answeredHeaders((controller.rawHeaders ?? []) as (Buffer | string)[]);
		if (status < 200) {
			if (status === 103 && this.#deps.judge === undefined) this.#inform(list);
			return;
		}
		if (ambiguous) {
			this.abort('upstream_reset', 'the length of the answer has more than one reading');
			return;
		}
		this.lastByte = performance.now();
		this.waiting = false;
		this.#status = status;
		this.#head = list;
		this.#phrase = phrase ?? '';
		this.#length = this.#request.method === 'HEAD' || status === 204 || status === 304 ? undefined : length;
		const { judge } = this.#deps;
		if (judge === undefined) {
			// What comes in the same packet goes out in the same packet; a head whose body is late goes out alone.
			queueMicrotask(() => this.#sendHead());
			return;
		}
		controller.pause();
		this.#judging = true;
		judge(status, list, refusal => {
			this.#judging = false;
			if (this.#over) return;
			if (refusal !== undefined) {
				this.#head = undefined;
				this.abort(refusal.cause, refusal.detail);
				return;
			}
			this.#sendHead();
			controller.resume();
			this.#ending?.();
		});
	}

	/** Early hints (RFC 8297): only their Link fields are of use to anybody. */
	#inform(list: readonly string[]): void {
		const links: string[] = [];
		for (let index = 0; index + 1 < list.length; index += 2)
			if (list[index]?.toLowerCase() === 'link') links.push(list[index + 1] ?? '');
		if (links.length === 0 || this.#response.headersSent) return;
		try {
			this.#response.writeEarlyHints({ link: links });
		} catch {
			// A Link that node:http refuses is dropped: hints may be.
		}
	}

	#writeHead(): boolean {
		const head = this.#head;
		if (head === undefined) return true;
		this.#head = undefined;
		try {
			this.#response.writeHead(this.#status, this.#phrase, head);
			return true;
		} catch {
			this.abort('upstream_reset', 'the head of the answer is malformed');
			return false;
		}
	}

	#sendHead(): void {
		if (this.#over || this.#head === undefined) return;
		if (this.#writeHead()) this.#response.flushHeaders();
	}

	onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.#over) return;
		this.#received += chunk.length;
		this.lastByte = performance.now();
		if (this.#length !== undefined && this.#received === this.#length) {
			this.#last = chunk;
			return;
		}
		if (!this.#writeHead()) return;
		if (this.#response.write(chunk)) return;
		controller.pause();
		this.#response.once('drain', () => {
			this.lastByte = performance.now();
			controller.resume();
		});
	}

	onResponseEnd(
		_controller: Dispatcher.DispatchController,
		trailers: Record<string, string | string[] | undefined>,
	): void {
		if (this.#over) return;
		// An answer without a body ends although it is paused; it waits for the verdict all the same.
		if (this.#judging) {
			this.#ending = () => this.onResponseEnd(_controller, trailers);
			return;
		}
		// undici takes a reset for the end of an answer that has no length.
		if (this.#connection?.broken) {
			this.abort('upstream_reset', 'the connection broke off (ECONNRESET)');
			return;
		}
		if (!this.#writeHead()) return;
		// Where answers are judged nobody judged these.
		if (this.#deps.judge === undefined) this.#trail(trailers);
		if (this.#last === undefined) this.#response.end();
		// node:http puts a string behind the head in one write, a Buffer in a second one.
		else if (this.#last.length <= ONE_WRITE) this.#response.end(this.#last.toString('latin1'), 'latin1');
		else this.#response.end(this.#last);
		const connection = this.#connection;
		this.#connection = undefined;
		if (connection !== undefined) {
			connection.used = true;
			// undici marks the socket free after this callback.
			queueMicrotask(() => this.#deps.pool.release(connection));
		}
		this.#finish('completed');
	}

	#trail(trailers: Record<string, string | string[] | undefined>): void {
		const fields: [string, string][] = [];
		for (const name of Object.keys(trailers)) {
			const value = trailers[name];
			if (value !== undefined && mayTrail(name)) fields.push([name, Array.isArray(value) ? value.join(', ') : value]);
		}
		if (fields.length === 0) return;
		try {
			this.#response.addTrailers(fields);
		} catch {
			// Trailers that node:http refuses are dropped: they may be (RFC 9110 §6.5.1).
		}
	}

	onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
		const connection = this.#connection;
		this.#connection = undefined;
		const stale = connection?.used === true && this.waiting && CLOSED.has((error as NodeJS.ErrnoException).code ?? '');
		connection?.destroy();
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
		this.#finish('upstream_reset', describe(error));
	}

	#finish(cause: Cause, error?: string): void {
		if (this.#over) return;
		this.#over = true;
		const silent = !this.#response.headersSent;
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

const describe = (error: Error): string => {
	const code = (error as NodeJS.ErrnoException).code ?? '';
	return /^[A-Z0-9_]{3,60}$/.test(code) ? `the connection broke off (${code})` : 'the connection broke off';
};
