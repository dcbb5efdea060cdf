import type { Socket } from 'node:net';
import type { RawHeaders } from '../../protocols/http/headers.ts';
import { answerHead, chunk, lastChunk, withHead } from '../../protocols/http/writer.ts';

/** Data up to this length goes out in one write with the head. */
const ONE_WRITE = 16 * 1024;

/** One answer to an agent. Answers on one connection follow one another. */
export class Answer {
	/** Whether the connection may serve another request behind this answer. */
	keepAlive = true;
	/** When it was written to its end, milliseconds, monotonic. */
	endedAt: number | undefined;
	readonly #socket: Socket;
	readonly #method: string;
	/** Runs once: when all of it was given to the kernel, or when the connection was closed before. */
	#over: ((finished: boolean) => void) | undefined;
	readonly #next: () => void;
	#drained: (() => void) | undefined;
	#started = false;
	#chunked = false;
	#bodiless = false;
	/** Head that goes out with the first bytes. */
	#head: string | undefined;
	#finished = false;
	#closed = false;

	constructor(socket: Socket, method: string, next: () => void) {
		this.#socket = socket;
		this.#method = method;
		this.#next = next;
	}

	/** Whether a head was given: what follows cannot be another answer. */
	get started(): boolean {
		return this.#started;
	}

	get ended(): boolean {
		return this.endedAt !== undefined;
	}

	/** Whether the connection was closed before all of it was given to the kernel. */
	get closed(): boolean {
		return this.#closed;
	}

	/** Whether the agent takes it more slowly than it comes. */
	get blocked(): boolean {
		return this.#drained !== undefined;
	}

	/** `over` runs once, at its end: true when all of it was given to the kernel. */
	onOver(over: (finished: boolean) => void): void {
		this.#over = over;
	}

	/** An interim answer (RFC 9110 §15.2). */
	interim(status: number, phrase: string, fields: RawHeaders): void {
		if (!this.#started && !this.#closed)
			this.#socket.write(answerHead(status, phrase, fields, { chunked: false, close: false }), 'latin1');
	}

	/** Sets the head; it goes out with what follows, or by `flush`. */
	begin(status: number, phrase: string, fields: RawHeaders): void {
		if (this.#started) return;
		this.#started = true;
		this.#bodiless = this.#method === 'HEAD' || status === 204 || status === 304;
		this.#chunked = !this.#bodiless && !hasLength(fields);
		this.#head = answerHead(status, phrase, fields, { chunked: this.#chunked, close: !this.keepAlive });
	}

	/** Sends the head alone. */
	flush(): void {
		const head = this.#takeHead();
		if (head !== '' && !this.#closed) this.#socket.write(head, 'latin1');
	}

	/** Sends a part of the body; false when the agent should be waited for. */
	write(data: Buffer): boolean {
		if (this.#closed || this.#bodiless || data.length === 0) return true;
		const part = this.#chunked ? chunk(data) : data;
		const head = this.#takeHead();
		if (head === '') return this.#socket.write(part);
		if (part.length <= ONE_WRITE) return this.#socket.write(withHead(head, part));
		this.#socket.write(head, 'latin1');
		return this.#socket.write(part);
	}

	/** Runs once, when the agent took what was written. */
	onDrain(drained: () => void): void {
		this.#drained = drained;
	}

	/** Sends the end, with the last part of the body and the fields behind it. */
	end(data?: Buffer, trailers: RawHeaders = []): void {
		if (this.ended) return;
		this.endedAt = performance.now();
		if (this.#closed) return;
		const rest = this.#bodiless ? undefined : data;
		if (rest !== undefined && rest.length > ONE_WRITE) this.write(rest);
		const head = this.#takeHead();
		const small = rest !== undefined && rest.length > 0 && rest.length <= ONE_WRITE;
		if (!this.#chunked) {
			if (small) this.#socket.write(head === '' ? rest : withHead(head, rest), this.#flushed);
			else this.#socket.write(head, 'latin1', this.#flushed);
			return;
		}
		const last = lastChunk(trailers);
		if (small)
			this.#socket.write(Buffer.concat([withHead(head, chunk(rest)), Buffer.from(last, 'latin1')]), this.#flushed);
		else this.#socket.write(head + last, 'latin1', this.#flushed);
	}

	/** Breaks the connection off. */
	destroy(): void {
		this.#socket.destroy();
	}

	/** The agent takes bytes again. */
	drain(): void {
		const drained = this.#drained;
		this.#drained = undefined;
		drained?.();
	}

	/** The connection was closed. */
	close(): void {
		if (this.#finished || this.#closed) return;
		this.#closed = true;
		this.#drained = undefined;
		this.#tell(false);
	}

	#takeHead(): string {
		const head = this.#head ?? '';
		this.#head = undefined;
		return head;
	}

	readonly #flushed = (error?: Error | null): void => {
		if (this.#closed || (error !== undefined && error !== null)) return;
		this.#finished = true;
		this.#tell(true);
		this.#next();
	};

	#tell(finished: boolean): void {
		const over = this.#over;
		this.#over = undefined;
		over?.(finished);
	}
}

function hasLength(fields: RawHeaders): boolean {
	for (let index = 0; index < fields.length; index += 2)
		if (fields[index]?.length === 14 && fields[index]?.toLowerCase() === 'content-length') return true;
	return false;
}
