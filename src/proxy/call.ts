import { hostPortText } from '../formats/host-port.ts';
import type { CallFacts, MaskedText, Phase, Section } from '../model/call.ts';
import { type Cause, OUTCOMES, type Refusal, type Refused, refused } from '../model/cause.ts';
import type { Conn } from '../model/conn.ts';
import type { Life } from '../model/life.ts';
import type { AnyPermit } from '../model/permit.ts';
import type { AgentPolicy, Clock, PolicySource, Recorder, Trace, Tracing } from '../model/ports.ts';
import { Roster } from '../model/roster.ts';
import { judgedBy, type Target } from '../model/target.ts';
import type { Decision, ShadowVerdict, Verdict } from '../model/verdict.ts';
import { type Admission, type Admitted, policyMissing } from '../policy/admit.ts';
import type { InputBuilder } from '../policy/input.ts';
import type { CallMetrics } from './call-metrics.ts';
import { tryShadows } from './shadow.ts';

/**
 * The life of a call, in this order: decode (done by the protocol before it comes here), evaluate, admit, record,
 * act (done by the caller under the permit), judge the answer, record the outcome.
 * Each step can end the call in one named way; `end` is the only exit.
 */

export interface CallRequest {
	readonly conn: Conn;
	readonly target: Target;
	readonly phase: 'connect' | 'request';
	readonly call: CallFacts;
	readonly sections: readonly Section[];
	/** Which permit an allowing verdict yields. */
	readonly permit: AnyPermit['kind'];
	/** Whether the target is in `observe`. */
	readonly observe: boolean;
	/** Its span, where the protocol brought a parent for it. */
	readonly trace?: Trace;
	/** Decoding refused it already: it is recorded and told, and never evaluated. */
	readonly refused?: Refused;
}

export interface CallEnd {
	readonly cause: Cause;
	readonly status?: number;
	readonly sent?: number;
	readonly received?: number;
	readonly rows?: number;
	readonly attempts?: number;
	readonly error?: string;
}

export interface CallDeps {
	readonly policy: PolicySource;
	readonly input: InputBuilder;
	readonly admission: Admission;
	readonly recorder: Recorder;
	readonly metrics: CallMetrics;
	readonly clock: Clock;
	/** Undefined where there are no traces. */
	readonly tracing?: Tracing | undefined;
}

/** Every call that is under way. */
export class Calls {
	readonly #deps: CallDeps;
	readonly #open = new Roster<Call>();

	constructor(deps: CallDeps) {
		this.#deps = deps;
	}

	get open(): number {
		return this.#open.size;
	}

	/** Starts a call; `decided` runs once, after its record was written or could not be, never synchronously. */
	decide(request: CallRequest, decided: (call: Call) => void): void {
		const call = new Call(request, this.#deps, () => {
			this.#open.delete(call);
		});
		this.#open.add(call);
		call.decide(decided);
	}

	/** Undefined where there are no traces. */
	get tracing(): Tracing | undefined {
		return this.#deps.tracing;
	}

	/** What policy of the agent is in force. */
	policyOf(conn: Conn): AgentPolicy | undefined {
		return this.#deps.policy.current()?.forAgent(conn.identity.agent.id);
	}

	/** Calls whose permit is a session's, for judging again. */
	*sessions(): Generator<Call> {
		for (const call of this.#open) if (call.request.permit === 'session') yield call;
	}
}

export class Call {
	/** Its place among those that are open. */
	place = -1;
	readonly request: CallRequest;
	/** Milliseconds, monotonic. */
	readonly started = performance.now();
	/** Ends with the connection, and when the call does. */
	readonly life: Life;
	readonly #deps: CallDeps;
	readonly #closed: () => void;
	readonly #release: () => void;
	readonly #trace: Trace | undefined;
	#decision: Decision | undefined;
	#permit: AnyPermit | undefined;
	#detail: string | undefined;
	#recordedAllowed = false;
	#ended = false;

	constructor(request: CallRequest, deps: CallDeps, closed: () => void) {
		this.request = request;
		this.#deps = deps;
		this.#closed = closed;
		const { life, release } = request.conn.life.child();
		this.life = life;
		this.#release = release;
		this.#trace = request.trace ?? deps.tracing?.begin();
	}

	/** Present once decided. */
	get decision(): Decision | undefined {
		return this.#decision;
	}

	/** Present exactly while the decision allows and was written down. */
	get permit(): AnyPermit | undefined {
		return this.#permit;
	}

	/** What the agent may be told beside the cause. */
	get detail(): string | undefined {
		return this.#detail;
	}

	decide(decided: (call: Call) => void): void {
		const { request } = this;
		const { admission, clock, metrics } = this.#deps;
		const time = clock.now();
		const policy = this.#policy();
		const refusal = request.refused ?? (policy === undefined ? policyMissing(request.phase) : undefined);
		if (refusal !== undefined || policy === undefined) {
			this.#detail = refusal?.detail;
			this.#settle(
				{ decision: admission.refuse((refusal?.cause ?? 'policy_missing') as Refusal) },
				{ time, policy },
				decided,
			);
			return;
		}
		const input = this.#input(policy, request.phase, request.sections, time);
		const verdict = policy.evaluate(judgedBy(request.phase, request.target), input.text);
		metrics.evaluated(verdict.micros);
		const candidate = {
			conn: request.conn,
			target: request.target,
			life: this.life,
			verdict,
			observe: request.observe,
		};
		const admitted = (result: Admitted<AnyPermit>): void => {
			const { allowed, cause } = result.decision;
			// Mostly a slip in a name or port, or an upstream that nobody declared.
			if (!allowed && cause === 'no_rule' && request.target.upstream === undefined)
				this.#detail = `no upstream matches ${hostPortText(request.target.host, request.target.port)}`;
			this.#settle(result, { time, policy, input, verdict, sections: request.sections }, decided);
		};
		if (request.permit === 'call') admission.call(candidate, admitted);
		else admission.session(candidate, admitted);
	}

	/** Writes the decision down; only after that is anything told or done. */
	#settle(admitted: Admitted<AnyPermit>, judged: Judged, decided: (call: Call) => void): void {
		const { request } = this;
		this.#detail ??= admitted.detail;
		this.#record(request.phase, admitted.decision, judged, failure => {
			let { decision } = admitted;
			if (failure !== undefined) {
				decision = { ...decision, allowed: false, cause: 'audit_unavailable', reasons: [] };
				this.#detail = failure.detail;
			} else if (decision.allowed && this.life.ended) {
				// Ended while the record was written: nothing may be done under it any more.
				const cause = this.life.cause ?? 'draining';
				decision = {
					...decision,
					allowed: false,
					cause: cause in OUTCOMES ? 'draining' : (cause as Refusal),
					reasons: [],
				};
			}
			this.#decision = decision;
			if (decision.allowed) this.#permit = admitted.permit;
			this.#recordedAllowed = failure === undefined && admitted.decision.allowed;
			this.#deps.metrics.decided(
				request.conn,
				request.target,
				request.call.protocol,
				request.phase,
				verdictOf(decision),
				decision.cause,
			);
			decided(this);
			if (this.#permit === undefined) this.end({ cause: this.life.cause ?? decision.cause ?? 'no_rule' });
		});
	}

	/** Judges the head of an answer in phase `response`; `judged` gets the refusal, if any, after its record was written. */
	judgeAnswer(sections: readonly Section[], judged: (refusal?: Refused, denial?: Decision) => void): void {
		const { request } = this;
		const policy = this.#policy();
		const path = judgedBy('response', request.target);
		if (policy === undefined || !policy.defines(path)) {
			judged();
			return;
		}
		const time = this.#deps.clock.now();
		const input = this.#input(policy, 'response', sections, time);
		const verdict = policy.evaluate(path, input.text);
		this.#deps.metrics.evaluated(verdict.micros);
		this.#deps.admission.answer(
			{ conn: request.conn, target: request.target, life: this.life, verdict, observe: request.observe },
			decision => {
				this.#record('response', decision, { time, policy, input, verdict, sections }, failure => {
					const { allowed, cause } = decision;
					this.#deps.metrics.decided(
						request.conn,
						request.target,
						request.call.protocol,
						'response',
						verdictOf(decision),
						failure?.cause ?? cause,
					);
					if (failure !== undefined) judged(failure);
					else if (allowed) judged();
					else judged(refused(cause ?? 'no_rule'), decision);
				});
			},
		);
	}

	/** Whether the policy in force now would still open this session; undefined when it would. `observe` is the mode of its target now. */
	judgeAgain(observe: boolean): Cause | undefined {
		const { request } = this;
		const policy = this.#policy();
		if (policy === undefined) return 'policy_changed';
		const verdict = policy.evaluate(
			judgedBy(request.phase, request.target),
			this.#input(policy, request.phase, request.sections, this.#deps.clock.now()).text,
		);
		const goesOn = verdict.verdict === 'allow' || (observe && verdict.completed);
		return goesOn ? undefined : 'policy_changed';
	}

	/** The only way out of a permitted call; a second call changes nothing. */
	end(end: CallEnd): void {
		if (this.#ended) return;
		const { request } = this;
		const durationMs = performance.now() - this.started;
		// A permitted call has an outcome, and so has one that was written down as allowed and then could not go on.
		if (this.#recordedAllowed && this.#decision !== undefined) {
			this.#deps.recorder.outcome({
				decisionId: this.#decision.id,
				cause: end.cause,
				durationMs,
				...(end.status === undefined ? {} : { status: end.status }),
				...(end.sent === undefined ? {} : { bytesSent: end.sent }),
				...(end.received === undefined ? {} : { bytesReceived: end.received }),
				...(end.rows === undefined ? {} : { rows: end.rows }),
				...(end.attempts === undefined ? {} : { attempts: end.attempts }),
				...(end.error === undefined ? {} : { error: end.error }),
			});
			this.#deps.metrics.ended(request.conn, request.target, request.call.protocol, end.cause, durationMs);
		}
		this.#ended = true;
		if (this.#trace !== undefined) this.#traced(this.#trace, end);
		this.#release();
		this.life.end(end.cause);
		this.#closed();
	}

	#traced(trace: Trace, { cause, status }: CallEnd): void {
		const { conn, target, call } = this.request;
		const decision = this.#decision;
		trace.end({
			decisionId: decision?.id,
			verdict: decision === undefined ? 'deny' : verdictOf(decision),
			cause,
			agent: conn.identity.agent.id,
			listener: conn.listener,
			target: target.upstream ?? `${target.host}:${target.port}`,
			host: target.host,
			port: target.port,
			protocol: call.protocol,
			operation: call.operation,
			status,
		});
	}

	#policy(): AgentPolicy | undefined {
		return this.#deps.policy.current()?.forAgent(this.request.conn.identity.agent.id);
	}

	#input(policy: AgentPolicy, phase: Phase, sections: readonly Section[], time: number): MaskedText {
		const { conn, target, call } = this.request;
		return this.#deps.input.build(policy, judgedBy(phase, target), { time, conn, target, call, sections });
	}

	/** After the verdict, which nothing of it can change any more. */
	#shadow(phase: Phase, { time, policy, verdict, sections }: Judged): readonly ShadowVerdict[] | undefined {
		if (policy === undefined || verdict === undefined || sections === undefined) return undefined;
		const { conn, target, call } = this.request;
		const shadows = this.#deps.policy.current()?.shadowsFor(conn.identity.agent.id) ?? [];
		if (shadows.length === 0) return undefined;
		const path = judgedBy(phase, target);
		const tried = tryShadows(shadows, policy, path, { time, conn, target, call, sections }, this.#deps.input);
		for (const one of tried) this.#deps.metrics.shadowed(verdict.verdict, one);
		return tried;
	}

	#record(phase: Phase, decision: Decision, judged: Judged, written: (failure?: Refused) => void): void {
		const { conn, target, call } = this.request;
		const { time, policy, input, verdict } = judged;
		const reads = policy?.reads(judgedBy(phase, target)).paths;
		const shadow = this.#shadow(phase, judged);
		this.#deps.recorder.decision(
			{
				decision,
				time,
				phase,
				conn,
				target,
				call,
				bundles: policy?.bundles ?? [],
				...(input === undefined ? {} : { input }),
				...(verdict === undefined ? {} : { result: verdict.result, micros: verdict.micros }),
				...(verdict?.error === undefined ? {} : { error: verdict.error }),
				...(reads === undefined ? {} : { reads }),
				...(shadow === undefined ? {} : { shadow }),
				...(this.#detail === undefined ? {} : { detail: this.#detail }),
			},
			written,
		);
	}
}

/** What a record says of how the decision came about. */
interface Judged {
	readonly time: number;
	readonly policy?: AgentPolicy | undefined;
	readonly input?: MaskedText;
	readonly verdict?: Verdict;
	readonly sections?: readonly Section[];
}

const verdictOf = (decision: Decision): 'allow' | 'ask' | 'deny' =>
	decision.allowed ? 'allow' : decision.cause === 'approval_required' ? 'ask' : 'deny';
