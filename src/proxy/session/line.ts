import type { Socket } from 'node:net';
import type { Side } from '../../protocols/contract.ts';

/** Who is told what happens on a line. */
export interface LineOwner {
	data(line: Line, chunk: Buffer): void;
	/** The peer has ended its stream. */
	ended(line: Line): void;
	/** What was held back has gone out: there is room again. */
	drained(line: Line): void;
	/** The socket is closed; `error` unless both directions had been ended in order. */
	gone(line: Line, error: string | undefined): void;
}

/**
 * One side of a session or tunnel: a socket with explicit flow both ways. Nothing is read while `flow` is off, and
 * `full` says that what was written waits, so memory stays at about one chunk per direction.
 */
export class Line {
	readonly side: Side;
	/** Bytes of content, without TLS. */
	bytesIn = 0;
	bytesOut = 0;
	full = false;
	gone = false;
	#socket: Socket;
	#owner: LineOwner;
	#flowing = false;
	#inEnded = false;
	#outEnded = false;
	#discarding = false;
	/** TLS has the socket, or broke on it: nothing may be read from or written to it in the clear. */
	#handedOver = false;
	#unwritten = 0;
	#flushed: (() => void) | undefined;
	#error: string | undefined;

	constructor(side: Side, socket: Socket, owner: LineOwner) {
		this.side = side;
		this.#socket = socket;
		this.#owner = owner;
		this.#listen();
	}

	/** Takes it whole, whatever waits already: `full` asks those who read to stop. */
	write(data: Buffer): void {
		const socket = this.#socket;
		if (this.#handedOver || this.#outEnded || socket.destroyed) return;
		this.bytesOut += data.length;
		this.#unwritten++;
		if (!socket.write(data, this.#written)) this.full = true;
	}

	/** Reads, or stops reading. */
	flow(on: boolean): void {
		if (on === this.#flowing || this.#handedOver || this.#discarding) return;
		this.#flowing = on;
		if (on) this.#socket.resume();
		else this.#socket.pause();
	}

	/** Ends the stream to the peer after what was written. */
	end(): void {
		if (this.#handedOver || this.#outEnded) return;
		this.#outEnded = true;
		this.#socket.end();
	}

	/** Gives the socket to TLS once everything written in the clear has gone out; nothing of it is read here any more. */
	handOver(take: (socket: Socket) => void): void {
		this.flow(false);
		this.#handedOver = true;
		const socket = this.#socket;
		// TLS takes this over: a peer that ends its stream in the handshake is not waited for.
		socket.allowHalfOpen = false;
		socket.removeListener('data', this.#onData);
		socket.removeListener('end', this.#onEnd);
		socket.removeListener('drain', this.#onDrain);
		if (this.#unwritten === 0) take(socket);
		else this.#flushed = () => take(socket);
	}

	/** Goes on with the socket that TLS made of the one handed over. */
	takeBack(socket: Socket): void {
		this.#socket.removeListener('close', this.#onClose);
		this.#socket = socket;
		this.#handedOver = false;
		this.#flowing = false;
		this.full = false;
		this.#listen();
	}

	/**
	 * Ends the line: sends what is written and an end, and reads on without looking, because a socket that is
	 * destroyed with unread bytes resets the connection and takes the last words with it.
	 */
	close(): void {
		if (this.gone) return;
		if (this.#handedOver) {
			this.#socket.destroy();
			return;
		}
		this.end();
		this.#discarding = true;
		this.#socket.removeListener('data', this.#onData);
		this.#socket.on('data', () => {});
		this.#socket.resume();
	}

	/** Whether everything written has been handed to the kernel. */
	get flushed(): boolean {
		return this.#unwritten === 0;
	}

	destroy(): void {
		this.#socket.destroy();
	}

	#listen(): void {
		const socket = this.#socket;
		// Otherwise Node ends our direction as soon as the peer has ended its own.
		socket.allowHalfOpen = true;
		socket.pause();
		socket.on('data', this.#onData);
		socket.on('end', this.#onEnd);
		socket.on('drain', this.#onDrain);
		socket.on('error', this.#onError);
		socket.on('close', this.#onClose);
		// It may have broken before anybody listened.
		if (socket.closed) process.nextTick(this.#onClose);
	}

	readonly #written = (): void => {
		if (--this.#unwritten > 0) return;
		const flushed = this.#flushed;
		this.#flushed = undefined;
		flushed?.();
	};

	readonly #onData = (chunk: Buffer): void => {
		this.bytesIn += chunk.length;
		this.#owner.data(this, chunk);
	};

	readonly #onEnd = (): void => {
		this.#inEnded = true;
		this.#owner.ended(this);
	};

	readonly #onDrain = (): void => {
		this.full = false;
		this.#owner.drained(this);
	};

	readonly #onError = (error: NodeJS.ErrnoException): void => {
		this.#error ??= error.code ?? 'error';
	};

	readonly #onClose = (): void => {
		if (!this.#handedOver) this.#close();
		// A socket under a broken TLS handshake closes just before TLS says why: let that be heard first.
		else setImmediate(() => this.#close());
	};

	#close(): void {
		if (this.gone) return;
		this.gone = true;
		const orderly = this.#error === undefined && this.#inEnded && this.#outEnded;
		this.#owner.gone(this, orderly ? undefined : (this.#error ?? 'closed'));
	}
}
