import type { Socket } from 'node:net';
import { type Refused, refused } from '../../model/cause.ts';
import { HeadReader, type RawHead, type Unreadable } from '../../protocols/http/head-reader.ts';
import { Answer } from './answer.ts';
import { linger } from './linger.ts';
import { AgentRequest } from './request.ts';

/** What becomes of what an agent sends. */
export interface ConnectionHandler {
	request(request: AgentRequest, answer: Answer): void;
	/** The socket is the tunnel's from now on. */
	connect(request: AgentRequest, early: Buffer): void;
	/** What came is no head; nothing is under way. The connection is the handler's to answer on and to close. */
	unreadable(refusal: Refused): void;
	/** What came is no body of the request under way. */
	broken(refusal: Refused): void;
}

export interface ConnectionLimits {
	readonly header_bytes: number;
	/** Milliseconds. */
	readonly head: number;
	readonly keep_alive: number;
	readonly body_idle: number;
}

/** Bytes that are held of requests behind the one under way; past it the agent has to wait. */
const MAX_HELD = 64 * 1024;

/** HTTP/1.1 on one agent's connection (RFC 9112): one request after the other, each answered before the next is looked at. */
export class AgentConnection {
	/** Its place among those that are open. */
	place = -1;
	readonly socket: Socket;
	readonly #limits: ConnectionLimits;
	readonly #handler: ConnectionHandler;
	readonly #reader: HeadReader;
	#request: AgentRequest | undefined;
	#answer: Answer | undefined;
	/** What came and cannot be looked at yet. */
	#held: Buffer | undefined;
	/** Since when the next head is waited for, milliseconds, monotonic. */
	#since = performance.now();
	/** Requests so far; an idle connection without any was never used. */
	#requests = 0;
	/** True while bytes are being taken apart. */
	#taking = false;
	/** It ends behind what was written; nothing more is looked at. */
	#ending = false;
	#over = false;

	constructor(socket: Socket, limits: ConnectionLimits, handler: ConnectionHandler) {
		this.socket = socket;
		this.#limits = limits;
		this.#handler = handler;
		this.#reader = new HeadReader(limits.header_bytes);
		socket.on('data', this.#onData);
		socket.on('drain', this.#onDrain);
		socket.on('end', this.#onEnd);
		socket.on('close', this.#onClose);
		socket.on('error', () => {});
	}

	/** Whether nothing is under way: no request, no part of one. */
	get idle(): boolean {
		return this.#answer === undefined && !this.#reader.begun && this.#held === undefined;
	}

	/** Looks at the time limits; called every now and then. */
	tick(now: number): void {
		if (this.#over || this.#ending) return;
		const answer = this.#answer;
		if (answer !== undefined) {
			// An answer that the agent does not take.
			if (answer.endedAt !== undefined && now - answer.endedAt > this.#limits.body_idle) this.socket.destroy();
			return;
		}
		const waited = now - this.#since;
		if (this.#reader.begun) {
			if (waited > this.#limits.head) this.#unreadable(refused('limit_exceeded', 'limits.head'));
		} else if (waited > (this.#requests === 0 ? this.#limits.head : this.#limits.keep_alive)) this.socket.destroy();
	}

	readonly #onData = (bytes: Buffer): void => {
		if (this.#held === undefined) this.#take(bytes);
		else {
			this.#held = Buffer.concat([this.#held, bytes]);
			this.#hold();
		}
	};

	#take(bytes: Buffer): void {
		let left = bytes;
		this.#taking = true;
		while (left.length > 0 && !this.#over && !this.#ending) {
			if (this.#answer === undefined) {
				const begun = this.#reader.begun;
				const raw = this.#reader.push(left);
				if (raw === undefined) {
					// Empty lines begin nothing, or they would keep a connection for ever.
					if (!begun && this.#reader.begun) this.#since = performance.now();
					break;
				}
				if (!('fields' in raw)) {
					this.#unreadable(unreadable(raw, 'not HTTP/1.1'));
					break;
				}
				left = raw.rest;
				if (this.#begin(raw)) return;
				continue;
			}
			const request = this.#request;
			if (request === undefined || request.complete || request.body === undefined || !request.flowing) {
				this.#held = left;
				break;
			}
			const taken = request.body.take(left, part => request.deliver(part));
			if (typeof taken === 'object') {
				this.#handler.broken(unreadable(taken, 'the body'));
				request.abort();
				break;
			}
			left = left.subarray(taken);
			if (request.body.over) request.finish();
		}
		this.#taking = false;
		this.#hold();
	}

	/** A request begins; true when the connection became a tunnel. */
	#begin(raw: RawHead): boolean {
		this.#requests++;
		const request = new AgentRequest(this.socket, raw, this.#limits.header_bytes, this.#kick);
		if (request.method === 'CONNECT') {
			this.#leave();
			this.#handler.connect(request, raw.rest);
			return true;
		}
		const answer = new Answer(this.socket, request.method, this.#next);
		this.#request = request;
		this.#answer = answer;
		this.#handler.request(request, answer);
		return false;
	}

	/** Goes on with what was held, when somebody takes it. */
	readonly #kick = (): void => {
		if (this.#taking || this.#over || this.#ending) return;
		const held = this.#held;
		this.#held = undefined;
		if (held !== undefined) this.#take(held);
		else this.#hold();
	};

	/** Reads on, or lets the agent wait. While an answer is awaited it reads on within bounds, so as to see the agent leave. */
	#hold(): void {
		if (this.#over || this.#ending) return;
		const body = this.#request !== undefined && !this.#request.complete;
		const full = body ? !this.#request?.flowing : (this.#held?.length ?? 0) > MAX_HELD;
		if (full !== this.socket.isPaused()) {
			if (full) this.socket.pause();
			else this.socket.resume();
		}
	}

	/** The answer is out: the next request, or the end. */
	readonly #next = (): void => {
		const answer = this.#answer;
		const request = this.#request;
		if (answer === undefined || request === undefined || this.#over) return;
		if (!answer.keepAlive || !request.complete) {
			this.end(request.complete && this.#held === undefined);
			return;
		}
		this.#answer = undefined;
		this.#request = undefined;
		this.#since = performance.now();
		this.#kick();
	};

	#unreadable(refusal: Refused): void {
		this.#leave();
		this.#handler.unreadable(refusal);
	}

	/** Ends the connection behind what was written. Unless nothing more can come, it is read on unseen for a moment. */
	end(clean = false): void {
		if (this.#ending || this.#over) return;
		this.#ending = true;
		this.#held = undefined;
		this.socket.removeListener('data', this.#onData);
		if (clean) this.socket.destroySoon();
		else linger(this.socket);
	}

	/** Gives the socket away. */
	#leave(): void {
		this.#over = true;
		this.#taking = false;
		this.socket.removeListener('data', this.#onData);
		this.socket.removeListener('drain', this.#onDrain);
		this.socket.removeListener('end', this.#onEnd);
		this.socket.pause();
	}

	readonly #onDrain = (): void => this.#answer?.drain();

	/** An agent that ends its side has left, as for other proxies: waiting on for it would hide its abort from the upstream. */
	readonly #onEnd = (): void => {
		this.socket.destroy();
	};

	readonly #onClose = (): void => {
		this.#over = true;
		this.#request?.abort();
		this.#answer?.close();
		this.#request = undefined;
		this.#answer = undefined;
		this.#held = undefined;
	};
}

const unreadable = (why: Unreadable, what: string): Refused =>
	'tooLong' in why
		? refused('limit_exceeded', 'limits.header_bytes')
		: refused('undecodable', `${what}: ${why.unreadable}`);
