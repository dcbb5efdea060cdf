import type { Socket } from 'node:net';
import { type AnswerHead, readAnswerHead } from '../../protocols/http/answer-head.ts';
import { BodyReader } from '../../protocols/http/body-reader.ts';
import { HeadReader } from '../../protocols/http/head-reader.ts';
import { chunk, LAST_CHUNK, requestHead, withHead } from '../../protocols/http/writer.ts';

/** A request body that is streamed; whoever reads it says when it is too fast. */
export interface BodySource {
	read(reader: BodyTaker): void;
	pause(): void;
	resume(): void;
}

export interface BodyTaker {
	data(part: Buffer): void;
	end(): void;
}

/** One request as it goes out. */
export interface OutgoingRequest {
	readonly method: string;
	/** Path and query, byte for byte. */
	readonly path: string;
	/** Names and values in turn, Host first, Content-Length where it is known. */
	readonly headers: readonly string[];
	readonly body: Buffer | BodySource | null;
	/** Whether the body's length is not known before. */
	readonly chunked: boolean;
}

/** Who gets the answer. After `end` or `broken` nothing follows. */
export interface AnswerTaker {
	/** So many bytes of the body were handed to the socket. */
	sent(bytes: number): void;
	/** An interim answer (RFC 9110 §15.2). */
	interim(head: AnswerHead): void;
	head(head: AnswerHead): void;
	data(part: Buffer): void;
	/** Fields behind a chunked body: names and values in turn. */
	end(trailers: readonly string[]): void;
	/** `stale`: the upstream closed a connection that had been idle, before a byte of an answer. */
	broken(error: string, stale: boolean): void;
}

/** Interim answers before the answer; more are an attack. */
const MAX_INTERIM = 32;

/** How a connection ends that its other side closed. */
const CLOSED = new Set(['ECONNRESET', 'EPIPE']);

/** One socket to an upstream, speaking HTTP/1.1, one exchange at a time. */
export class UpstreamConnection {
	/** Seconds for which the upstream said that it keeps it idle. */
	keepAlive: number | undefined;
	readonly #socket: Socket;
	readonly #reader: HeadReader;
	readonly #maxHeader: number;
	#body: BodyReader | undefined;
	#taker: AnswerTaker | undefined;
	#source: BodySource | undefined;
	#method = '';
	/** False until its first exchange is over: only a used one can have been closed while idle. */
	#used = false;
	/** Whether another exchange may follow. */
	#reusable = true;
	#interims = 0;
	/** A byte of an answer came. */
	#answering = false;
	#paused = false;
	/** What came while nobody takes it. */
	#held: Buffer | undefined;
	#error: string | undefined;
	/** The connection ended while nobody took what had come. */
	#late: (() => void) | undefined;

	constructor(socket: Socket, maxHeader: number) {
		this.#socket = socket;
		this.#reader = new HeadReader(maxHeader);
		this.#maxHeader = maxHeader;
		socket.on('data', (bytes: Buffer) => this.#take(bytes));
		socket.on('drain', () => this.#source?.resume());
		socket.on('error', (error: NodeJS.ErrnoException) => {
			this.#error = error.code ?? '';
		});
		socket.once('end', () => this.#whenTaken(() => this.#ended()));
		socket.once('close', () => this.#whenTaken(() => this.#closed()));
	}

	/** Whether another request can be sent on it. */
	get usable(): boolean {
		const { destroyed, readable, writable } = this.#socket;
		return this.#reusable && this.#taker === undefined && !destroyed && readable && writable;
	}

	/** Sends one request. */
	send(request: OutgoingRequest, taker: AnswerTaker): void {
		this.#taker = taker;
		this.#method = request.method;
		this.#interims = 0;
		this.#answering = false;
		const head = requestHead(request.method, request.path, request.headers, request.chunked);
		const { body } = request;
		if (body === null) this.#socket.write(head, 'latin1');
		else if (Buffer.isBuffer(body)) {
			this.#socket.write(withHead(head, body));
			taker.sent(body.length);
		} else {
			this.#socket.write(head, 'latin1');
			this.#stream(body, request.chunked, taker);
		}
	}

	#stream(source: BodySource, chunked: boolean, taker: AnswerTaker): void {
		this.#source = source;
		source.read({
			data: part => {
				if (this.#source !== source) return;
				const room = this.#socket.write(chunked ? chunk(part) : part);
				taker.sent(part.length);
				if (!room) source.pause();
			},
			end: () => {
				if (this.#source !== source) return;
				this.#source = undefined;
				if (chunked) this.#socket.write(LAST_CHUNK, 'latin1');
			},
		});
	}

	/** Takes no more of the answer until `resume`. */
	pause(): void {
		this.#paused = true;
		this.#socket.pause();
	}

	resume(): void {
		if (!this.#paused) return;
		this.#paused = false;
		const held = this.#held;
		this.#held = undefined;
		if (held !== undefined) this.#take(held);
		if (this.#paused) return;
		const late = this.#late;
		this.#late = undefined;
		late?.();
		this.#socket.resume();
	}

	/** The end of the connection comes behind all that came on it. */
	#whenTaken(act: () => void): void {
		if (this.#paused && this.#taker !== undefined) {
			this.#reusable = false;
			this.#late ??= act;
		} else act();
	}

	/** Closes it; whoever took the answer hears nothing more. */
	destroy(): void {
		this.#taker = undefined;
		this.#source = undefined;
		this.#reusable = false;
		this.#socket.destroy();
	}

	#take(bytes: Buffer): void {
		let left = bytes;
		while (left.length > 0) {
			if (this.#paused) {
				this.#held = this.#held === undefined ? left : Buffer.concat([this.#held, left]);
				return;
			}
			const taker = this.#taker;
			// Nobody asked for anything: what is said here would be taken for the answer to the next request.
			if (taker === undefined) {
				this.destroy();
				return;
			}
			this.#answering = true;
			if (this.#body !== undefined) {
				const taken = this.#body.take(left, part => this.#taker?.data(part));
				if (this.#taker !== taker) return;
				if (typeof taken === 'object') {
					this.#fail('tooLong' in taken ? 'the trailers of the answer are too long' : taken.unreadable);
					return;
				}
				left = left.subarray(taken);
				if (this.#body.over) this.#finish(this.#body.trailers, left.length === 0);
				continue;
			}
			const raw = this.#reader.push(left);
			if (raw === undefined) return;
			if (!('fields' in raw)) {
				this.#fail('tooLong' in raw ? 'the head of the answer is too long' : raw.unreadable);
				return;
			}
			left = raw.rest;
			const head = readAnswerHead(raw, this.#method);
			if ('status' in head) this.#begin(head, taker, left.length === 0);
			else this.#fail(head.unreadable);
			if (this.#taker !== taker) return;
		}
	}

	#begin(head: AnswerHead, taker: AnswerTaker, alone: boolean): void {
		const { status, framing } = head;
		if (status < 200) {
			this.#interims++;
			if (status === 101) this.#fail('the upstream switched protocols unasked');
			else if (this.#interims > MAX_INTERIM) this.#fail('too many interim answers');
			else taker.interim(head);
			return;
		}
		this.keepAlive = head.keepAlive;
		if (!head.persistent) this.#reusable = false;
		this.#body = framing === undefined ? undefined : new BodyReader(framing, this.#maxHeader);
		taker.head(head);
		if (this.#taker !== taker) return;
		if (this.#body === undefined) this.#finish([], alone);
		else if (this.#body.over) this.#finish([], alone);
	}

	/** The answer came whole. Bytes behind it, or a request that was not sent whole, end the connection. */
	#finish(trailers: readonly string[], alone: boolean): void {
		const taker = this.#taker;
		if (!alone || this.#source !== undefined) this.#reusable = false;
		this.#taker = undefined;
		this.#source = undefined;
		this.#body = undefined;
		this.#used = true;
		if (this.#paused) {
			this.#paused = false;
			this.#socket.resume();
		}
		taker?.end(trailers);
	}

	#fail(error: string): void {
		const taker = this.#taker;
		const stale = this.#used && !this.#answering;
		this.destroy();
		taker?.broken(error, stale);
	}

	#ended(): void {
		this.#reusable = false;
		if (this.#taker !== undefined && this.#body?.endsWithConnection) {
			this.#finish([], true);
			this.#socket.destroy();
		} else if (this.#taker === undefined) this.#socket.destroy();
		else this.#fail('the connection broke off (ECONNRESET)');
	}

	#closed(): void {
		if (this.#taker === undefined) return;
		const code = this.#error ?? 'ECONNRESET';
		if (!CLOSED.has(code)) this.#answering = true;
		this.#fail(/^[A-Z0-9_]{3,60}$/.test(code) ? `the connection broke off (${code})` : 'the connection broke off');
	}
}
