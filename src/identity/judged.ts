import { hash } from 'node:crypto';
import type { Identity } from '../model/agent.ts';
import type { Certificate } from './trust.ts';

/** Chains that are remembered. */
const MOST = 1024;

/** What a chain proved. */
export interface Judgement {
	readonly identity: Identity;
	/** Between these it proves the same again: the validity of its whole path, with the skew; milliseconds since the epoch. */
	readonly notBefore: number;
	readonly notAfter: number;
	/** The intermediate CAs that the path went over. */
	readonly intermediates: readonly Certificate[];
}

/**
 * Good judgements of chains by one set of trust bundles: an agent that connects again shows the same bytes, and all that
 * can have changed is the time. What was refused is judged again each time.
 */
export class Judged {
	readonly #judgements = new Map<string, Judgement>();

	/** `chain`: DER, leaf first. A resumed session proves it with certificates that it does not show, so it is kept apart. */
	static keyOf(chain: readonly Buffer[], resumed: boolean): string {
		return `${resumed ? 'resumed' : 'full'} ${hash('sha256', Buffer.concat(chain), 'base64')}`;
	}

	/** Undefined when it was not judged before, or proves nothing at this time. */
	find(key: string, now: number): Judgement | undefined {
		const judgement = this.#judgements.get(key);
		if (judgement === undefined || now < judgement.notBefore || now >= judgement.notAfter) return undefined;
		// The one used last comes last.
		this.#judgements.delete(key);
		this.#judgements.set(key, judgement);
		return judgement;
	}

	keep(key: string, judgement: Judgement): void {
		this.#judgements.delete(key);
		this.#judgements.set(key, judgement);
		if (this.#judgements.size <= MOST) return;
		const [oldest] = this.#judgements.keys();
		if (oldest !== undefined) this.#judgements.delete(oldest);
	}
}
