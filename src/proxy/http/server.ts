import type { Socket } from 'node:net';
import { type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import { Roster } from '../../model/roster.ts';
import { Callers, type Evidence } from './callers.ts';
import type { Exchange } from './exchange.ts';
import { Visit, type VisitDeps } from './visit.ts';

/** HTTP/1.1 on the connections of one listener: what is open, what is under way, and by whom. */
export class HttpServer {
	readonly #deps: VisitDeps;
	readonly #callers: Callers;
	readonly #visits = new Roster<Visit>();
	readonly #exchanges = new Roster<Exchange>();
	/** Exchanges under way, by agent. */
	readonly #perAgent = new Map<string, number>();
	readonly #ticker: NodeJS.Timeout;
	#leaving = false;

	constructor(deps: VisitDeps) {
		this.#deps = deps;
		this.#callers = new Callers(deps);
		const { limits } = deps;
		this.#ticker = setInterval(
			() => this.#tick(),
			Math.min(500, Math.max(50, Math.min(limits.head, limits.keep_alive) / 4)),
		);
		this.#ticker.unref();
	}

	/** Takes a connection, with what it showed of its agent so far. */
	enter(socket: Socket, evidence: Evidence): void {
		const visit = new Visit(socket, evidence, this.#deps, this.#callers, this);
		this.#visits.add(visit);
		socket.once('close', () => this.#visits.delete(visit));
		this.#callers.enter(visit.caller, socket);
	}

	/** Exchanges under way. */
	get busy(): number {
		return this.#exchanges.size;
	}

	/** True when no new request is taken. */
	get leaving(): boolean {
		return this.#leaving || this.#deps.draining();
	}

	/** Why there is no room for another exchange of this agent's. */
	full({ identity }: Conn): Refused | undefined {
		const { limits } = this.#deps;
		if (this.#exchanges.size >= limits.requests_in_flight)
			return refused('limit_exceeded', 'limits.requests_in_flight');
		return (this.#perAgent.get(identity.agent.id) ?? 0) >= limits.requests_in_flight_per_agent
			? refused('limit_exceeded', 'limits.requests_in_flight_per_agent')
			: undefined;
	}

	begun(exchange: Exchange, { identity }: Conn): void {
		this.#exchanges.add(exchange);
		this.#perAgent.set(identity.agent.id, (this.#perAgent.get(identity.agent.id) ?? 0) + 1);
	}

	over(exchange: Exchange, { identity }: Conn): void {
		if (!this.#exchanges.delete(exchange)) return;
		const left = (this.#perAgent.get(identity.agent.id) ?? 1) - 1;
		if (left > 0) this.#perAgent.set(identity.agent.id, left);
		else this.#perAgent.delete(identity.agent.id);
	}

	/** Lets idle connections go at once, and the others behind the answer that is under way. */
	drain(): void {
		this.#leaving = true;
		for (const exchange of this.#exchanges) exchange.closeAfter();
		for (const visit of this.#visits) if (visit.idle) visit.destroy();
	}

	close(): void {
		clearInterval(this.#ticker);
		for (const visit of this.#visits) visit.destroy();
	}

	#tick(): void {
		const now = performance.now();
		for (const exchange of this.#exchanges) exchange.tick(now);
		for (const visit of this.#visits) visit.tick(now);
	}
}
