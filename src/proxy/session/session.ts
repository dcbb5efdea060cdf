import type { Socket } from 'node:net';
import type { Identity } from '../../model/agent.ts';
import { type Cause, REFUSALS, type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { SessionPermit } from '../../model/permit.ts';
import type { SessionEvent, SessionMachine } from '../../protocols/contract.ts';
import type { OnExpiry } from '../listener/expiry.ts';
import type { Decided, SessionDeps, SessionLimits } from './deps.ts';
import { Flow, type FlowHost, type Question } from './flow.ts';

type Step<Kind extends Question['kind']> = Extract<Question, { kind: Kind }>;

/** Runs a long computation when its turn comes. */
export type Compute = (run: () => Promise<unknown>) => Promise<unknown>;

const isRefused = (value: object): value is Refused => 'cause' in value;

/** One session of a door: answers what its machine asks, in the order of a call's life. */
export class Session implements FlowHost {
	readonly #deps: SessionDeps;
	readonly #limits: SessionLimits;
	readonly #socket: Socket;
	readonly #computeInTurn: Compute;
	readonly #gone: () => void;
	readonly #flow: Flow;
	#agentSocket: Socket;
	#upstreamSocket: Socket | undefined;
	#conn: Conn | undefined;
	#permit: SessionPermit | undefined;
	#decided: Decided | undefined;
	#askedToDecide = false;
	#cancels = false;
	#questions = 0;
	#ended: Cause | undefined;
	/** Takes back the question that is not answered yet. */
	#abort: (() => void) | undefined;
	#releases: (() => void)[] = [];

	constructor(
		socket: Socket,
		machine: SessionMachine,
		deps: SessionDeps,
		limits: SessionLimits,
		compute: Compute,
		gone: () => void,
	) {
		this.#socket = socket;
		this.#agentSocket = socket;
		this.#deps = deps;
		this.#limits = limits;
		this.#computeInTurn = compute;
		this.#gone = gone;
		this.#flow = new Flow(socket, machine, limits, this);
	}

	/** `who`: where the socket itself says who connects. */
	accept(who: Identity | Refused | undefined): void {
		this.#flow.deadline(this.#limits.handshake, 'limit_exceeded');
		if (who !== undefined && isRefused(who)) {
			this.#answer({ kind: 'refused', refused: who });
			return;
		}
		const identity = who;
		const conn = identity === undefined ? undefined : this.#identified(identity);
		this.#flow.feed({ kind: 'accepted', ...(identity === undefined || conn === undefined ? {} : { identity }) });
	}

	end(cause: Cause): void {
		this.#flow.end(cause);
	}

	get closing(): boolean {
		return this.#flow.closing;
	}

	/** Ends it if it has not asked for anything yet, at once if it has not said a word. */
	drain(): void {
		if (this.#askedToDecide || this.#cancels) return;
		this.#flow.end('draining');
		if (this.#socket.bytesRead === 0) this.#socket.destroy();
	}

	tick(now: number): void {
		this.#flow.tick(now);
	}

	get expiry(): OnExpiry | undefined {
		return this.#conn === undefined ? undefined : this.#deps.expiry.of(this.#conn.identity);
	}

	ask(step: Question): void {
		switch (step.kind) {
			case 'startTls':
				if (step.side === 'agent') this.#agentTls(step);
				else this.#upstreamTls(step);
				return;
			case 'authenticate': {
				const result = this.#deps.authenticate(step.username, step.password);
				if (isRefused(result)) this.#answer({ kind: 'refused', refused: result });
				else if (this.#identified(result) !== undefined) this.#answer({ kind: 'identified', identity: result });
				return;
			}
			case 'decide':
				this.#decide(step);
				return;
			case 'dial':
				this.#dial(step.permit, this.#deps.dial);
				return;
			case 'cancel':
				this.#cancels = true;
				this.#flow.allow(step.permit);
				this.#permit = step.permit;
				this.#flow.deadline(this.#limits.dial + this.#limits.handshake, 'upstream_timeout');
				this.#dial(step.permit, this.#deps.cancel);
				return;
			case 'compute':
				this.#compute(step);
		}
	}

	closed(cause: Cause, error: string | undefined): void {
		this.#ended = cause;
		for (const release of this.#releases) release();
		this.#abort?.();
		this.#abort = undefined;
		const decided = this.#decided;
		if (decided?.permit !== undefined) this.#finish(decided, cause, error);
		else if (!this.#askedToDecide && cause in REFUSALS)
			this.#deps.refused(refused(cause, error), this.#conn, this.#socket);
	}

	gone(): void {
		this.#gone();
		this.#deps.over(this.#conn);
	}

	#answer(event: SessionEvent): void {
		this.#abort = undefined;
		this.#flow.answer(event);
	}

	/** True once, and only while the question that is asked now is the one that is open. */
	#asked(): () => boolean {
		const question = ++this.#questions;
		let answered = false;
		return () => {
			const first = !answered && question === this.#questions && !this.#flow.closing;
			answered = true;
			return first;
		};
	}

	/** Makes the Conn; refuses by itself, and answers undefined, if that may not be. */
	#identified(identity: Identity): Conn | undefined {
		const conn = this.#deps.makeConn(identity, this.#agentSocket);
		if (isRefused(conn)) {
			this.#answer({ kind: 'refused', refused: conn });
			return undefined;
		}
		this.#conn = conn;
		this.#releases.push(conn.life.onEnd(cause => this.#flow.end(cause)));
		return conn;
	}

	#agentTls({ alpn, unread }: Step<'startTls'>): void {
		const open = this.#asked();
		this.#flow.agent.handOver(socket => {
			this.#deps.startAgentTls(socket, unread, alpn, result => {
				if (!open()) {
					result.socket?.destroy();
					return;
				}
				if (result.socket !== undefined) {
					this.#agentSocket = result.socket;
					this.#flow.agent.takeBack(result.socket);
				}
				if (isRefused(result)) {
					const { cause, detail } = result;
					this.#answer({ kind: 'refused', refused: refused(cause, detail) });
					return;
				}
				const chosen = result.alpn === undefined ? {} : { alpn: result.alpn };
				const { identity } = result;
				if (identity === undefined) this.#answer({ kind: 'secured', ...chosen });
				else if (this.#identified(identity) !== undefined) this.#answer({ kind: 'identified', identity, ...chosen });
			});
		});
	}

	#upstreamTls({ alpn }: Step<'startTls'>): void {
		const permit = this.#permit;
		const line = this.#flow.upstream;
		if (permit === undefined || line === undefined) {
			this.#flow.close('unknown', 'internal: TLS with an upstream that was not dialled');
			return;
		}
		const open = this.#asked();
		line.handOver(socket => {
			this.#deps.startUpstreamTls(permit, socket, alpn, result => {
				if (!open()) {
					if ('socket' in result) result.socket.destroy();
					return;
				}
				if (isRefused(result)) {
					this.#answer({ kind: 'refused', refused: result });
					return;
				}
				line.takeBack(result.socket);
				const chosen = result.socket.alpnProtocol;
				this.#answer({ kind: 'secured', ...(typeof chosen === 'string' ? { alpn: chosen } : {}) });
			});
		});
	}

	#decide(asked: Step<'decide'>): void {
		const conn = this.#conn;
		if (conn === undefined) {
			this.#flow.close('identity_missing', 'internal: a decision about nobody');
			return;
		}
		this.#askedToDecide = true;
		this.#flow.deadline(0, 'limit_exceeded');
		this.#deps.decide(conn, asked, decided => {
			const { decision, permit } = decided;
			if (this.#flow.closing) {
				// It went away meanwhile: what was permitted never happened, and its record says so.
				if (permit !== undefined) this.#finish(decided, this.#ended ?? 'agent_aborted', undefined);
				return;
			}
			this.#decided = decided;
			if (permit === undefined) {
				this.#answer({ kind: 'decided', decision });
				return;
			}
			this.#permit = permit;
			this.#flow.allow(permit);
			this.#flow.deadline(this.#limits.dial + this.#limits.handshake, 'upstream_timeout');
			this.#releases.push(permit.life.onEnd(cause => this.#flow.end(cause)));
			this.#answer({ kind: 'decided', decision, permit });
		});
	}

	#dial(permit: SessionPermit, dial: SessionDeps['dial']): void {
		const open = this.#asked();
		this.#abort = dial(permit, result => {
			if (!open()) {
				if ('socket' in result) result.socket.destroy();
				return;
			}
			if (isRefused(result)) {
				this.#answer({ kind: 'refused', refused: result });
				return;
			}
			this.#upstreamSocket = result.socket;
			this.#flow.connect(result.socket);
			this.#answer({ kind: 'dialled' });
		});
		// Answered or over before there was anything to abort.
		if (this.#upstreamSocket !== undefined) this.#abort = undefined;
	}

	#compute({ run }: Step<'compute'>): void {
		const open = this.#asked();
		const answer = (event: SessionEvent): void => {
			if (open()) this.#answer(event);
		};
		this.#computeInTurn(() => (this.#flow.closing ? Promise.reject(new Error('over')) : run())).then(
			result => answer({ kind: 'computed', result }),
			() => answer({ kind: 'refused', refused: refused('upstream_unreachable', 'a computation failed') }),
		);
	}

	#finish(decided: Decided, cause: Cause, error: string | undefined): void {
		const { upstream, rows } = this.#flow;
		decided.finish({
			cause,
			bytesSent: upstream?.bytesOut ?? 0,
			bytesReceived: upstream?.bytesIn ?? 0,
			...(rows === undefined ? {} : { rows }),
			...(error === undefined ? {} : { error }),
		});
	}
}
