import type { Phase } from '../model/call.ts';
import { OUTCOMES, type Refusal, type Refused, refused as refusedWith } from '../model/cause.ts';
import type { Conn } from '../model/conn.ts';
import type { Life } from '../model/life.ts';
import type { CallPermit, SessionPermit } from '../model/permit.ts';
import type { Clock, Revocations } from '../model/ports.ts';
import type { Target } from '../model/target.ts';
import type { Decision, Reason, Verdict } from '../model/verdict.ts';
import { DecisionIds } from './decision-id.ts';
import { grantCall, grantSession } from './permit.ts';

/** What asks to be admitted. */
export interface Candidate {
	readonly conn: Conn;
	readonly target: Target;
	/** The life of the call or session: the permit is good only while it lasts. */
	readonly life: Life;
	readonly verdict: Verdict;
	/** The mode of the target: `observe` turns the refusal of a completed evaluation into an allow. */
	readonly observe: boolean;
}

/** The permit is there exactly when the decision allows. */
export interface Admitted<Permit> {
	readonly decision: Decision;
	readonly permit?: Permit;
	/** What the agent may be told beside the cause. */
	readonly detail?: string;
}

const NO_REASONS: readonly Reason[] = Object.freeze([]);

/**
 * Turns verdicts into decisions and permits. The answer comes by callback because it may have to wait (for budgets,
 * for approvals); today it is always given before the method returns.
 */
export class Admission {
	readonly #revocations: Revocations | undefined;
	readonly #clock: Clock;
	readonly #ids = new DecisionIds();

	constructor(deps: { readonly revocations?: Revocations; readonly clock: Clock }) {
		this.#revocations = deps.revocations;
		this.#clock = deps.clock;
	}

	/** Phase `connect`. */
	session(candidate: Candidate, done: (admitted: Admitted<SessionPermit>) => void): void {
		const { decision, detail } = this.#decide(candidate);
		if (!decision.allowed) {
			done({ decision, ...(detail === undefined ? {} : { detail }) });
			return;
		}
		const { conn, target, life } = candidate;
		done({ decision, permit: grantSession({ decisionId: decision.id, conn, target, life }) });
	}

	/** Phase `request`. */
	call(candidate: Candidate, done: (admitted: Admitted<CallPermit>) => void): void {
		const { decision, detail } = this.#decide(candidate);
		if (!decision.allowed) {
			done({ decision, ...(detail === undefined ? {} : { detail }) });
			return;
		}
		const { conn, target, life } = candidate;
		done({ decision, permit: grantCall({ decisionId: decision.id, conn, target, life }) });
	}

	/** Phase `response`: an answer is let through or not; there is nothing more to permit. */
	answer(candidate: Candidate, done: (decision: Decision) => void): void {
		done(this.#decide(candidate).decision);
	}

	/** The decision of a call that was refused without asking policy. */
	refuse(cause: Refusal): Decision {
		return { id: this.#ids.next(this.#clock.now()), allowed: false, cause, reasons: NO_REASONS, observed: false };
	}

	#decide(candidate: Candidate): { readonly decision: Decision; readonly detail?: string | undefined } {
		const { conn, life } = candidate;
		const ended = life.cause ?? conn.life.cause;
		if (ended !== undefined) return { decision: this.refuse(ended in OUTCOMES ? 'draining' : (ended as Refusal)) };
		const barred = this.#revocations?.revoked(conn.identity) ?? this.#revocations?.unknown();
		if (barred !== undefined) return { decision: this.refuse(barred.cause as Refusal), detail: barred.detail };
		return { decision: this.#judged(candidate) };
	}

	#judged({ verdict, observe }: Candidate): Decision {
		const id = this.#ids.next(this.#clock.now());
		const { cause, reasons } = verdict;
		if (verdict.verdict === 'allow') return { id, allowed: true, reasons, observed: false };
		if (observe && verdict.completed) {
			return { id, allowed: true, ...(cause === undefined ? {} : { cause }), reasons, observed: true };
		}
		return { id, allowed: false, cause: cause ?? 'policy_error', reasons, observed: false };
	}
}

/** Why an agent that no bundle speaks for is refused: none was ever loaded, or none applies to it. */
export const policyMissing = (phase: Phase): Refused =>
	refusedWith('policy_missing', `no policy bundle applies to the agent in ${phase}`);
