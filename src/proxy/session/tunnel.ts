import type { Socket } from 'node:net';
import type { Cause } from '../../model/cause.ts';
import type { SessionPermit } from '../../model/permit.ts';
import { Relay } from '../../protocols/tcp/machine.ts';
import type { Expiry, OnExpiry } from '../listener/expiry.ts';
import { Flow, type FlowHost, type FlowLimits } from './flow.ts';
import { SessionSet } from './set.ts';

export interface TunnelEnd {
	readonly cause: Cause;
	/** To the upstream, `head` included. */
	readonly bytesSent: number;
	/** From the upstream. */
	readonly bytesReceived: number;
	readonly error?: string;
}

/** The agent's connection, after it was told that the tunnel is open. */
export interface TunnelAgent {
	readonly socket: Socket;
	/** What it sent after its request. */
	readonly head: Buffer;
}

/** Opaque bytes both ways between sockets that are there already. */
export class Tunnels {
	readonly #limits: FlowLimits;
	readonly #expiry: Pick<Expiry, 'of'>;
	readonly #open = new SessionSet();

	constructor(limits: FlowLimits, expiry: Pick<Expiry, 'of'>) {
		this.#limits = limits;
		this.#expiry = expiry;
	}

	/** Tunnels with an open socket on either side. */
	get size(): number {
		return this.#open.size;
	}

	/**
	 * Pumps until both sides have ended, one breaks, a time limit is reached or the permit's life ends. `done` runs
	 * exactly once, when it is over; both sockets are closed here.
	 */
	open(agent: TunnelAgent, upstream: Socket, permit: SessionPermit, done: (end: TunnelEnd) => void): void {
		const tunnel = new Tunnel(agent.socket, permit, this.#limits, this.#expiry, done, () => this.#open.delete(tunnel));
		this.#open.add(tunnel);
		tunnel.start(agent.head, upstream);
	}

	end(cause: Cause): void {
		this.#open.end(cause);
	}
}

class Tunnel implements FlowHost {
	readonly #permit: SessionPermit;
	readonly #expiry: Pick<Expiry, 'of'>;
	readonly #done: (end: TunnelEnd) => void;
	readonly #gone: () => void;
	readonly #flow: Flow;
	#release: (() => void) | undefined;

	constructor(
		agent: Socket,
		permit: SessionPermit,
		limits: FlowLimits,
		expiry: Pick<Expiry, 'of'>,
		done: (end: TunnelEnd) => void,
		gone: () => void,
	) {
		this.#permit = permit;
		this.#expiry = expiry;
		this.#done = done;
		this.#gone = gone;
		this.#flow = new Flow(agent, new Relay(permit), limits, this);
	}

	start(head: Buffer, upstream: Socket): void {
		this.#flow.connect(upstream);
		this.#flow.allow(this.#permit);
		this.#release = this.#permit.life.onEnd(cause => this.#flow.end(cause));
		if (!this.#flow.closing) this.#flow.start(head);
	}

	end(cause: Cause): void {
		this.#flow.end(cause);
	}

	get closing(): boolean {
		return this.#flow.closing;
	}

	/** It goes on until the drain is over. */
	drain(): void {}

	tick(now: number): void {
		this.#flow.tick(now);
	}

	get expiry(): OnExpiry | undefined {
		return this.#expiry.of(this.#permit.conn.identity);
	}

	/** A relay asks nothing. */
	ask(): void {
		this.#flow.close('unknown', 'internal: a tunnel asked a question');
	}

	closed(cause: Cause, error: string | undefined): void {
		this.#release?.();
		const { upstream } = this.#flow;
		this.#done({
			cause,
			bytesSent: upstream?.bytesOut ?? 0,
			bytesReceived: upstream?.bytesIn ?? 0,
			...(error === undefined ? {} : { error }),
		});
	}

	gone(): void {
		this.#gone();
	}
}
