import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { type Bound, boundOf } from '../config/listen.ts';
import type { ListenAddress } from '../config/values.ts';
import { hasBody } from '../formats/message-body.ts';
import { LoopHealth } from './loop-health.ts';
import { Crowd, createHttp, listen } from './server.ts';

/** A part of Sallyport without which no call can be served. Read by whoever asks: no secrets in `reason`. */
export interface NotReady {
	readonly part: string;
	readonly reason: string;
}

export interface HealthDeps {
	readonly address: ListenAddress;
	readonly registry: Pick<Registry, 'metrics' | 'contentType'>;
	/** Empty when calls can be served. Cheap and synchronous. */
	readiness(): readonly NotReady[];
	/** What some calls are refused for, while others are served. */
	degraded?(): readonly NotReady[];
	/** The default one when absent. */
	readonly loop?: LoopHealth;
}

const CONNECTIONS = 128;
/** Metrics are made at most this often per second; beyond that the last text is given again. */
const METRICS_RATE = 20;
const JSON_TYPE = 'application/json';

/**
 * /livez, /readyz and /metrics over plain HTTP for whoever can reach the address, agents included: it tells nothing
 * secret, changes nothing, and cannot be made to work hard.
 */
export class Health {
	readonly #deps: HealthDeps;
	readonly #http: Server;
	readonly #loop: LoopHealth;
	#budget = METRICS_RATE;
	#filled = performance.now();
	#metrics: Promise<string> | undefined;

	constructor(deps: HealthDeps) {
		this.#deps = deps;
		this.#loop = deps.loop ?? new LoopHealth();
		this.#http = createHttp((request, response) => this.#answer(request, response));
		const crowd = new Crowd(CONNECTIONS);
		this.#http.on('connection', socket => crowd.add(socket));
	}

	/** Rejects with what stands in the way. */
	listen(): Promise<void> {
		return listen(this.#http, this.#deps.address);
	}

	get bound(): Bound | undefined {
		return boundOf(this.#http);
	}

	close(): void {
		this.#loop.close();
		this.#http.close();
		this.#http.closeAllConnections();
	}

	#answer(request: IncomingMessage, response: ServerResponse): void {
		response.setHeader('cache-control', 'no-store');
		const path = (request.url ?? '').split('?', 1)[0];
		if (path !== '/livez' && path !== '/readyz' && path !== '/metrics') {
			send(request, response, 404, 'text/plain', 'There are /livez, /readyz and /metrics.\n');
		} else if (request.method !== 'GET' && request.method !== 'HEAD') {
			response.setHeader('allow', 'GET, HEAD');
			send(request, response, 405, 'text/plain', 'Only GET and HEAD.\n');
		} else if (path === '/livez') {
			const { stalled, worst } = this.#loop.state();
			send(request, response, stalled ? 503 : 200, JSON_TYPE, json({ live: !stalled, event_loop_delay_ms: worst }));
		} else if (path === '/readyz') {
			const parts = this.#deps.readiness();
			const ready = parts.length === 0;
			const degraded = shown(this.#deps.degraded?.() ?? []);
			const more = degraded.length === 0 ? {} : { degraded };
			send(
				request,
				response,
				ready ? 200 : 503,
				JSON_TYPE,
				json(ready ? { ready, ...more } : { ready, parts: shown(parts), ...more }),
			);
		} else {
			this.#text().then(
				text => send(request, response, 200, this.#deps.registry.contentType, text),
				() => send(request, response, 500, 'text/plain', 'The metrics could not be made.\n'),
			);
		}
	}

	#text(): Promise<string> {
		const now = performance.now();
		this.#budget = Math.min(METRICS_RATE, this.#budget + ((now - this.#filled) / 1000) * METRICS_RATE);
		this.#filled = now;
		if (this.#metrics !== undefined && this.#budget < 1) return this.#metrics;
		this.#budget--;
		this.#metrics = this.#deps.registry.metrics();
		return this.#metrics;
	}
}

const shown = (parts: readonly NotReady[]): NotReady[] => parts.map(({ part, reason }) => ({ part, reason }));

const json = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** A body that nobody asked for is not waited for. */
function send(request: IncomingMessage, response: ServerResponse, status: number, type: string, text: string): void {
	if (response.destroyed) return;
	const body = Buffer.from(text);
	response.writeHead(status, {
		'content-type': type,
		'content-length': body.length,
		...(hasBody(request.headers) ? { connection: 'close' } : {}),
	});
	response.end(request.method === 'HEAD' ? undefined : body);
}
