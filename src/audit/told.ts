import type { Refused } from '../model/cause.ts';
import type { AuditLog } from './contract.ts';
import { codeOf } from './io.ts';

/** What a call waits with for its record. */
export type Written = (refusal?: Refused) => void;

/** Those who wait for one write, and what they are told. */
interface Group {
	readonly waiting: readonly Written[];
	readonly refusal: Refused | undefined;
}

/** Those who can go on at the end of this turn of the event loop. */
export class Told {
	readonly #log: AuditLog;
	#groups: Group[] = [];

	constructor(log: AuditLog) {
		this.#log = log;
	}

	add(waiting: readonly Written[], refusal: Refused | undefined): void {
		this.#groups.push({ waiting, refusal });
	}

	/** One that throws does not keep the others from going on. */
	run(): void {
		if (this.#groups.length === 0) return;
		const groups = this.#groups;
		this.#groups = [];
		for (const { waiting, refusal } of groups) {
			for (const written of waiting) {
				try {
					if (refusal === undefined) written();
					else written(refusal);
				} catch (error) {
					this.#log('error', 'a call failed after its record was written', { error: codeOf(error) });
				}
			}
		}
	}
}
