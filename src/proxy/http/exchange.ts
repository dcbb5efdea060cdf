import { alikeName } from '../../formats/field-name.ts';
import { decodeQuery } from '../../formats/request-target.ts';
import { type Cause, type Refused, refused } from '../../model/cause.ts';
import type { Conn } from '../../model/conn.ts';
import type { Trace } from '../../model/ports.ts';
import { judgedBy } from '../../model/target.ts';
import type { Decision, Reason } from '../../model/verdict.ts';
import { mustRefuseUnreadable } from '../../policy/reads.ts';
import { effectOf, httpCall } from '../../protocols/http/call.ts';
import type { Head } from '../../protocols/http/head.ts';
import { forwardedHeaders } from '../../protocols/http/headers.ts';
import type { Body, RequestFacts } from '../../protocols/http/section.ts';
import type { Call } from '../call.ts';
import type { BodySource } from '../upstream/http-connection.ts';
import { authorityText, type Route, type Scheme } from '../upstream/route.ts';
import { type Additions, additionsOf, asItIs } from './additions.ts';
import type { Answer } from './answer.ts';
import { bodyForPolicy, collectBody, SMALL_BODY } from './body.ts';
import type { HttpDeps } from './deps.ts';
import { Forward, type ForwardEnd } from './forward.ts';
import { refuseExchange } from './refuse.ts';
import type { AgentRequest } from './request.ts';
import { continueTrace } from './trace.ts';

/** Where a request goes, once its head was read and its agent is known. */
export interface Routed {
	readonly route: Route;
	readonly scheme: Scheme;
}

/**
 * One HTTP request and its answer. Reads what policy needs of the body, has the call decided, forwards it under
 * the permit, or refuses it in words. Ends once, whoever ends it.
 */
export class Exchange {
	/** Its place among those under way. */
	place = -1;
	readonly started = performance.now();
	readonly #deps: HttpDeps;
	readonly #conn: Conn;
	readonly #request: AgentRequest;
	readonly #answer: Answer;
	readonly #head: Head;
	readonly #route: Route;
	/** What Sallyport adds to requests to this upstream. */
	readonly #additions: Additions | undefined;
	/** Undefined where there are no traces. */
	readonly #trace: Trace | undefined;
	readonly #facts: {
		readonly path: string;
		readonly query: string | undefined;
		readonly authority: string;
		readonly headers: string[];
	};
	readonly #done: () => void;
	#body: Buffer | undefined;
	/** A body that was too long to be read whole: what was read of it, and the rest. */
	#source: BodySource | undefined;
	/** True while the body is being read into memory. */
	#collecting = false;
	#call: Call | undefined;
	#forward: Forward | undefined;
	/** True from the moment on that the call is being decided. */
	#asked = false;
	/** What ended it while it was being decided. */
	#late: Refused | undefined;
	/** True when the agent was told to send its body. */
	#continued = false;
	/** Bytes that were read of the agent's connection when a time limit last looked, and since when there are no more. */
	#seen: { readonly bytes: number; readonly at: number } | undefined;
	/** Lets go of the call's life. */
	#release: (() => void) | undefined;
	/** The decision that held the answer back. */
	#denial: Decision | undefined;
	#over = false;

	constructor(
		deps: HttpDeps,
		conn: Conn,
		request: AgentRequest,
		answer: Answer,
		head: Head,
		routed: Routed,
		strip: readonly string[],
		done: () => void,
	) {
		this.#deps = deps;
		this.#conn = conn;
		this.#request = request;
		this.#answer = answer;
		this.#head = head;
		this.#route = routed.route;
		this.#done = done;
		const { target, upstream } = routed.route;
		const authority = upstream?.authority ?? authorityText(target.host, target.port, routed.scheme);
		const path = 'path' in head.target ? head.target.path : '*';
		const query = 'query' in head.target ? head.target.query : undefined;
		const headers = forwardedHeaders(request.fields, authority, head.connection);
		for (const name of strip) dropHeader(headers, name);
		this.#additions = additionsOf(deps, conn.identity, upstream, head.method);
		this.#additions?.strip(headers);
		const { tracing } = deps.calls;
		this.#trace = tracing === undefined ? undefined : continueTrace(headers, tracing);
		this.#facts = { path, query, authority, headers };
	}

	start(): void {
		const { length, expectsContinue } = this.#head;
		this.#answer.onOver(finished => {
			if (!finished) this.abort('agent_aborted');
			this.#finish();
		});
		const missing = this.#additions?.refused;
		if (missing !== undefined) {
			this.#decide(undefined, missing);
			return;
		}
		const policy = this.#deps.calls.policyOf(this.#conn);
		const reads = policy?.reads(judgedBy('request', this.#route.target));
		if (reads?.has('http', 'query') && decodeQuery(this.#facts.query ?? '') === undefined) {
			this.#decide(undefined, refused('undecodable', 'the query has an escape that is not UTF-8'));
			return;
		}
		const given = reads !== undefined && (reads.has('http', 'body') || reads.has('http', 'body_state'));
		if (length === 0) {
			this.#decide({ state: 'none' });
			return;
		}
		if (given) {
			const { body: limit } = this.#deps.limits;
			if (length !== undefined && length > limit) {
				this.#unreadable({ state: 'too_large' });
				return;
			}
			if (expectsContinue) this.#continue();
			this.#collect(limit, () => {
				if (this.#body === undefined) this.#unreadable({ state: 'too_large' });
				else {
					const body = bodyForPolicy(this.#body, this.#head.contentType, this.#head.contentEncoding);
					if (body.state === 'whole' || body.state === 'none') this.#decide(body);
					else this.#unreadable(body);
				}
			});
			return;
		}
		// The answer to `Expect` waits for the verdict; other small bodies are read while it is made.
		if (!expectsContinue && length !== undefined && length <= SMALL_BODY) this.#collect(SMALL_BODY, () => this.#send());
		this.#decide(undefined);
	}

	#continue(): void {
		if (this.#continued) return;
		this.#continued = true;
		this.#answer.interim(100, 'Continue', []);
	}

	/** A body that policy cannot be given whole: a rule over it must not fall silent. */
	#unreadable(body: Body): void {
		const reads = this.#deps.calls.policyOf(this.#conn)?.reads(judgedBy('request', this.#route.target));
		if (reads !== undefined && !mustRefuseUnreadable(reads, 'http', 'body')) {
			this.#decide(body);
			return;
		}
		this.#decide(body, refused('body_unreadable', `the body is ${body.state.replace('_', ' ')}`));
	}

	#collect(limit: number, then: () => void): void {
		this.#collecting = true;
		collectBody(this.#request, limit, result => {
			const awaited = this.#collecting;
			this.#collecting = false;
			if (this.#over || !awaited) return;
			if (result.kind === 'aborted') {
				this.abort('agent_aborted');
				return;
			}
			if (result.kind === 'whole') this.#body = result.data;
			else this.#source = result.source;
			then();
		});
	}

	#decide(body: Body | undefined, refusal?: Refused): void {
		this.#asked = true;
		const { method } = this.#head;
		const { path, query, authority, headers } = this.#facts;
		const { target, upstream } = this.#route;
		const facts: RequestFacts = { method, path, query, headers, body };
		const effect = effectOf(method, path, upstream?.config.effects);
		const whole = body === undefined ? undefined : this.#body;
		const call = httpCall(method, authority, path, query, effect, whole, this.#additions?.credential);
		this.#deps.calls.decide(
			{
				conn: this.#conn,
				target,
				phase: 'request',
				call,
				sections: [this.#deps.section(facts)],
				permit: 'call',
				observe: this.#deps.observes(upstream),
				...(this.#trace === undefined ? {} : { trace: this.#trace }),
				...(refusal === undefined ? {} : { refused: refusal }),
			},
			decided => {
				this.#call = decided;
				if (this.#over) decided.end({ cause: 'agent_aborted' });
				else if (this.#late !== undefined && decided.permit !== undefined)
					this.abort(this.#late.cause, this.#late.detail);
				else if (decided.permit === undefined)
					this.#refuse(decided.decision?.cause ?? 'no_rule', decided.decision?.reasons ?? [], decided.detail);
				else {
					this.#release = decided.life.onEnd(cause => this.abort(cause));
					this.#send();
				}
			},
		);
	}

	/** Forwards, once there is a permit and, for a small body, all of it. */
	#send(): void {
		const call = this.#call;
		if (this.#collecting || this.#over || this.#forward !== undefined || call?.permit?.kind !== 'call') return;
		const { method, length, expectsContinue } = this.#head;
		if (expectsContinue && this.#body === undefined && length !== 0) this.#continue();
		const { path, query, headers } = this.#facts;
		const body = length === 0 ? null : (this.#body ?? this.#source ?? this.#request);
		// What came in chunks and was read whole goes on with its length.
		const known = length ?? this.#body?.length;
		if (known !== undefined && (known > 0 || method === 'POST' || method === 'PUT' || method === 'PATCH'))
			headers.push('content-length', String(known));
		const outgoing = this.#additions?.complete(headers) ?? asItIs(headers);
		if ('cause' in outgoing) {
			this.abort(outgoing.cause, outgoing.detail);
			return;
		}
		const { secrets, revision } = outgoing;
		const target = query === undefined ? path : `${path}?${query}`;
		const forward = new Forward(
			call.permit,
			{ method, path: target, headers: outgoing.headers, body, chunked: known === undefined },
			this.#answer,
			{
				pool: this.#deps.pool,
				revision,
				secrets,
				judge: this.#deps.calls.policyOf(this.#conn)?.defines(judgedBy('response', this.#route.target))
					? (status, answer, done) =>
							call.judgeAnswer(
								[
									this.#deps.section({
										method,
										path,
										query,
										headers,
										body: undefined,
										answer: { status, headers: answer },
									}),
								],
								(refusal, denial) => {
									this.#denial = denial;
									done(refusal);
								},
							)
					: undefined,
				done: end => this.#ended(end),
			},
		);
		this.#forward = forward;
		forward.start();
	}

	#ended(end: ForwardEnd): void {
		this.#release?.();
		if ((this.#request.body?.trailers.length ?? 0) > 0) this.#deps.droppedTrailers();
		this.#call?.end({
			cause: end.cause,
			sent: end.sent,
			received: end.received,
			attempts: end.attempts,
			...(end.status === 0 ? {} : { status: end.status }),
			...(end.error === undefined ? {} : { error: end.error }),
		});
		if (end.cause === 'completed') return;
		if (end.silent && end.cause !== 'agent_aborted') this.#refuse(end.cause, [], end.error);
		else this.#answer.destroy();
	}

	#refuse(cause: Cause, reasons: readonly Reason[], detail: string | undefined): void {
		const said = this.#denial?.reasons ?? reasons;
		refuseExchange(this.#request, this.#answer, {
			cause,
			reasons: said,
			detail,
			decisionId: (this.#denial ?? this.#call?.decision)?.id,
			challenge: false,
		});
	}

	/** Ends it from outside: the agent left, the connection's life ended, a time limit was passed. */
	abort(seen: Cause, error?: string): void {
		if (this.#over) return;
		// Whose connection was cut off did not leave.
		const cause = seen === 'agent_aborted' ? (this.#conn.life.cause ?? seen) : seen;
		if (this.#forward !== undefined) this.#forward.abort(cause, error);
		else if (cause === 'agent_aborted' || this.#call !== undefined) {
			this.#release?.();
			this.#call?.end({ cause, ...(error === undefined ? {} : { error }) });
			if (cause !== 'agent_aborted' && !this.#answer.started) this.#refuse(cause, [], error);
			else this.#answer.destroy();
		} else if (!this.#asked) {
			// Not decided yet: the refusal is the decision, and is written down as one.
			this.#collecting = false;
			this.#decide(undefined, refused(cause, error));
		} else this.#late ??= refused(cause, error);
		if (this.#answer.closed) this.#finish();
	}

	/** Ends the connection behind this answer. */
	closeAfter(): void {
		this.#answer.keepAlive = false;
	}

	/** Looks at the time limits; called every now and then. */
	tick(now: number): void {
		const { limits } = this.#deps;
		const forward = this.#forward;
		if (this.#answer.ended) return;
		if (limits.total > 0 && now - this.started > limits.total)
			this.abort(forward === undefined ? 'limit_exceeded' : 'upstream_timeout', 'limits.total');
		else if (forward === undefined) {
			if (this.#collecting && this.#idle(now) > limits.body_idle) this.abort('limit_exceeded', 'limits.body_idle');
		} else if (forward.waiting && this.#request.complete) {
			if (now - forward.lastByte > limits.answer) this.abort('upstream_timeout', 'limits.answer');
		} else if (now - forward.lastByte > limits.body_idle) {
			// Who keeps whom waiting: a body that the upstream does not take is paused.
			const agent = forward.waiting ? this.#request.flowing : this.#answer.blocked;
			this.abort(agent ? 'limit_exceeded' : 'upstream_timeout', 'limits.body_idle');
		}
	}

	/** Milliseconds since bytes of the agent's were last seen. */
	#idle(now: number): number {
		const bytes = this.#request.socket.bytesRead;
		if (this.#seen?.bytes !== bytes) this.#seen = { bytes, at: now };
		return now - this.#seen.at;
	}

	#finish(): void {
		if (this.#over) return;
		this.#over = true;
		this.#done();
	}
}

/** The field of this name, lower case, and those that servers may read as the same. */
function dropHeader(list: string[], name: string): void {
	const alike = alikeName(name);
	for (let index = 0; index + 1 < list.length; index += 2) {
		if (alikeName(list[index] ?? '') !== alike) continue;
		list.splice(index, 2);
		index -= 2;
	}
}
