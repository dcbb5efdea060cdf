import type { Socket } from 'node:net';
import type { Cause } from '../../model/cause.ts';
import type { SessionPermit } from '../../model/permit.ts';
import { isSessionPermit } from '../../policy/permit.ts';
import type { SessionEvent, SessionMachine, SessionStep } from '../../protocols/contract.ts';
import type { OnExpiry } from '../listener/expiry.ts';
import { Line, type LineOwner } from './line.ts';

/** Steps that are answered. */
export type Question = Extract<
	SessionStep,
	{ kind: 'startTls' | 'authenticate' | 'decide' | 'dial' | 'compute' | 'cancel' }
>;

/** Who answers a machine's questions, and is told of the end. */
export interface FlowHost {
	/** Carries it out, and answers with `Flow.answer`, at once or later. */
	ask(step: Question): void;
	/** What becomes of it now that the agent's identity has expired; undefined while it has not. */
	readonly expiry: OnExpiry | undefined;
	/** It is over, and why: exactly once. What was sent to the agent is still being flushed. */
	closed(cause: Cause, error: string | undefined): void;
	/** Every socket is closed: exactly once, after `closed`. */
	gone(): void;
}

/** Milliseconds; 0 is none. */
export interface FlowLimits {
	readonly sessionAge: number;
	readonly sessionIdle: number;
}

/** How long a closed session waits for the peer's end, and how long for last words to go out to a slow one. */
const LINGER = 1000;
const FLUSH = 30_000;

/**
 * A machine between two lines: events in, steps out, with back-pressure, time limits and one end. The one pump for
 * sessions and tunnels.
 */
export class Flow implements LineOwner {
	readonly agent: Line;
	readonly #machine: SessionMachine;
	readonly #limits: FlowLimits;
	readonly #host: FlowHost;
	#upstream: Line | undefined;
	#permit: SessionPermit | undefined;
	#asking = false;
	/** Ends of streams that came with the last bytes before a question: they wait for the answer as bytes do. */
	readonly #ends: Line[] = [];
	#closing = false;
	#gone = false;
	#hard = false;
	#deadline: NodeJS.Timeout | undefined;
	#linger: NodeJS.Timeout | undefined;
	/** Milliseconds, monotonic; set when opened. */
	#openedAt: number | undefined;
	#lastByte = 0;
	#active = false;
	/** The machine was told that the identity has expired. */
	#expired = false;

	constructor(agent: Socket, machine: SessionMachine, limits: FlowLimits, host: FlowHost) {
		this.#machine = machine;
		this.#limits = limits;
		this.#host = host;
		this.agent = new Line('agent', agent, this);
	}

	get upstream(): Line | undefined {
		return this.#upstream;
	}

	get closing(): boolean {
		return this.#closing;
	}

	get rows(): number | undefined {
		return this.#machine.counts?.rows;
	}

	/** What may be sent to the upstream from here on is sent under this permit, and only a genuine one. */
	allow(permit: SessionPermit): void {
		if (isSessionPermit(permit)) this.#permit = permit;
	}

	/** Takes the upstream's socket. */
	connect(socket: Socket): void {
		this.#upstream = new Line('upstream', socket, this);
	}

	/** Begins with both sides there already; `head` is what the agent has sent. */
	start(head: Buffer): void {
		this.#opened();
		if (head.length > 0) this.data(this.agent, head);
		else this.#flow();
	}

	/** Closes after `ms`, as a refusal for this cause, unless it is set again or the machine says `opened`. */
	deadline(ms: number, cause: Cause): void {
		clearTimeout(this.#deadline);
		this.#deadline = ms > 0 && !this.#closing ? setTimeout(() => this.end(cause), ms) : undefined;
	}

	answer(event: SessionEvent): void {
		this.#asking = false;
		this.feed(event);
		while (!this.#asking && !this.#closing) {
			const line = this.#ends.shift();
			if (line === undefined) return;
			this.feed({ kind: 'closed', side: line.side });
		}
	}

	feed(event: SessionEvent): void {
		if (this.#closing) return;
		let steps: readonly SessionStep[];
		try {
			steps = this.#machine.on(event);
		} catch (error) {
			// A machine throws nothing. If one does, its session ends and no other.
			this.close('unknown', `internal: ${error instanceof Error ? error.message : 'the machine failed'}`);
			return;
		}
		for (const step of steps) {
			if (this.#closing) return;
			this.#carryOut(step);
		}
		this.#flow();
	}

	/** The life ended, or a time limit was reached: the machine may say so to the agent; the upstream is cut off. */
	end(cause: Cause): void {
		if (this.#closing) return;
		this.#hard = true;
		this.feed({ kind: 'ended', cause });
		this.close(cause, undefined);
	}

	close(cause: Cause, error: string | undefined): void {
		if (this.#closing) return;
		this.#closing = true;
		clearTimeout(this.#deadline);
		this.#host.closed(cause, error);
		if (this.#hard) this.#upstream?.destroy();
		else this.#upstream?.close();
		this.agent.close();
		const since = performance.now();
		const look = (): void => {
			const flushed = this.agent.flushed && (this.#upstream?.flushed ?? true);
			if (!flushed && !this.#hard && performance.now() - since < FLUSH) {
				this.#linger = setTimeout(look, LINGER);
				return;
			}
			this.agent.destroy();
			this.#upstream?.destroy();
		};
		this.#linger = setTimeout(look, LINGER);
		this.#sweep();
	}

	/** Looks at idle and total time; `now` in milliseconds, monotonic. */
	tick(now: number): void {
		if (this.#closing) return;
		const expiry = this.#expired ? undefined : this.#host.expiry;
		if (expiry === 'close') {
			this.end('session_expired');
			return;
		}
		if (this.#openedAt !== undefined) {
			const { sessionAge, sessionIdle } = this.#limits;
			if (this.#active) {
				this.#active = false;
				this.#lastByte = now;
			}
			const tooOld = sessionAge > 0 && now - this.#openedAt >= sessionAge;
			const tooIdle = sessionIdle > 0 && now - this.#lastByte >= sessionIdle;
			if (tooOld || tooIdle) {
				this.end('session_expired');
				return;
			}
		}
		if (expiry !== undefined) {
			this.#expired = true;
			this.feed({ kind: 'expired' });
		}
		this.feed({ kind: 'tick', now });
	}

	data(line: Line, chunk: Buffer): void {
		this.#active = true;
		this.feed({ kind: 'bytes', side: line.side, data: chunk });
	}

	ended(line: Line): void {
		if (this.#asking) this.#ends.push(line);
		else this.feed({ kind: 'closed', side: line.side });
	}

	drained(): void {
		this.#flow();
	}

	gone(line: Line, error: string | undefined): void {
		if (error !== undefined) this.feed({ kind: 'closed', side: line.side, error });
		this.#sweep();
	}

	/** Reads what there is room for. A machine that waits for an answer is not fed. */
	#flow(): void {
		if (this.#closing) return;
		const upstream = this.#upstream;
		const ready = !this.#asking;
		this.agent.flow(ready && !(upstream ?? this.agent).full);
		upstream?.flow(ready && !this.agent.full);
	}

	#carryOut(step: SessionStep): void {
		switch (step.kind) {
			case 'toAgent':
				this.agent.write(step.data);
				return;
			case 'toUpstream':
				this.#toUpstream(step.permit, step.data);
				return;
			case 'opened':
				this.#opened();
				return;
			case 'end':
				(step.side === 'agent' ? this.agent : this.#upstream)?.end();
				return;
			case 'close':
				this.close(step.cause, step.error);
				return;
			default:
				this.#asking = true;
				this.#flow();
				this.#host.ask(step);
		}
	}

	/** Nothing goes out without the genuine permit of this session, nor after its life. */
	#toUpstream(permit: SessionPermit, data: Buffer): void {
		if (this.#permit === undefined || permit !== this.#permit || this.#upstream === undefined) {
			this.close('unknown', 'internal: bytes for the upstream without a permit');
		} else if (permit.life.ended) {
			this.#hard = true;
			this.close(permit.life.cause ?? 'unknown', undefined);
		} else {
			this.#upstream.write(data);
		}
	}

	#opened(): void {
		clearTimeout(this.#deadline);
		this.#openedAt = performance.now();
		this.#lastByte = this.#openedAt;
	}

	#sweep(): void {
		if (!this.#closing || this.#gone || !this.agent.gone || this.#upstream?.gone === false) return;
		this.#gone = true;
		clearTimeout(this.#linger);
		this.#host.gone();
	}
}
