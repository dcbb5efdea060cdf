import type { Socket } from 'node:net';
import { type Refused, refused } from '../../model/cause.ts';
import { BodyReader } from '../../protocols/http/body-reader.ts';
import { type Head, readHead } from '../../protocols/http/head.ts';
import type { RawHead } from '../../protocols/http/head-reader.ts';
import { hasOption, type RawHeaders } from '../../protocols/http/headers.ts';
import type { BodySource, BodyTaker } from '../upstream/http-connection.ts';

/** Who takes a request's body. After `end` or `aborted` nothing follows. */
export interface RequestTaker extends BodyTaker {
	/** The agent left, or what came is no body. */
	aborted?(): void;
}

/** One request as it came on an agent's connection. Its body waits until somebody reads it. */
export class AgentRequest implements BodySource {
	readonly socket: Socket;
	readonly method: string;
	readonly url: string;
	readonly fields: RawHeaders;
	/** What the head says, or why it cannot be taken. */
	readonly head: Head | Refused;
	/** Undefined when there is none, or when nobody can say where it would end. */
	readonly body: BodyReader | undefined;
	readonly #kick: () => void;
	#taker: RequestTaker | undefined;
	#paused = false;
	#complete: boolean;
	#aborted = false;

	constructor(socket: Socket, raw: RawHead, maxTrailers: number, kick: () => void) {
		this.socket = socket;
		this.#kick = kick;
		this.fields = raw.fields;
		const { startLine } = raw;
		// Exactly one space between the three parts (RFC 9112 §3).
		const first = startLine.indexOf(' ');
		const last = startLine.lastIndexOf(' ');
		this.method = startLine.slice(0, Math.max(0, first));
		this.url = first < last ? startLine.slice(first + 1, last) : '';
		const version = startLine.slice(last + 1);
		this.head =
			first > 0 && first < last && version.startsWith('HTTP/') && !this.url.includes(' ')
				? readHead(this.method, this.url, version.slice(5), raw.fields)
				: refused('undecodable', 'not HTTP/1.1: the request line is malformed');
		const length = 'cause' in this.head ? 0 : this.head.length;
		this.body =
			length === 0
				? undefined
				: new BodyReader(length === undefined ? { kind: 'chunked' } : { kind: 'length', length }, maxTrailers);
		this.#complete = this.body === undefined && !('cause' in this.head);
	}

	/** Whether the agent wants the connection to end behind the answer (RFC 9112 §9.6). */
	get last(): boolean {
		return !('cause' in this.head) && hasOption(this.head.connection, 'close');
	}

	/** Whether it came whole. One whose head cannot be taken never is. */
	get complete(): boolean {
		return this.#complete;
	}

	/** Whether bytes of its body may be delivered now. */
	get flowing(): boolean {
		return this.#taker !== undefined && !this.#paused;
	}

	/** The value of a field that stands there once, by its lower-case name. */
	field(name: string): string | undefined {
		for (let index = 0; index + 1 < this.fields.length; index += 2)
			if (this.fields[index]?.toLowerCase() === name) return this.fields[index + 1];
		return undefined;
	}

	/** From now on the body goes to this one. */
	read(taker: RequestTaker): void {
		this.#taker = taker;
		this.#paused = false;
		if (this.#complete) taker.end();
		else if (this.#aborted) taker.aborted?.();
		else this.#kick();
	}

	pause(): void {
		this.#paused = true;
	}

	resume(): void {
		if (!this.#paused) return;
		this.#paused = false;
		this.#kick();
	}

	/** A part of the body came. */
	deliver(part: Buffer): void {
		this.#taker?.data(part);
	}

	/** All of the body came. */
	finish(): void {
		this.#complete = true;
		this.#taker?.end();
	}

	/** The rest of the body will never come. */
	abort(): void {
		if (this.#complete || this.#aborted) return;
		this.#aborted = true;
		this.#taker?.aborted?.();
	}
}
