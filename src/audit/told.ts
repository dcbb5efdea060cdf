import type { Refused } from '../model/cause.ts';
import type { AuditLog } from './contract.ts';
import { codeOf } from './spool.ts';

/** What a call waits with for its record. */
export type Written = (refusal?: Refused) => void;

/** Those who can go on at the end of this turn of the event loop, and what they are told. */
export class Told {
	readonly #log: AuditLog;
	#waiting: { readonly written: Written; readonly refusal: Refused | undefined }[] = [];

	constructor(log: AuditLog) {
		this.#log = log;
	}

	add(written: Written, refusal: Refused | undefined): void {
		this.#waiting.push({ written, refusal });
	}

	/** One that throws does not keep the others from going on. */
	run(): void {
		if (this.#waiting.length === 0) return;
		const waiting = this.#waiting;
		this.#waiting = [];
		for (const { written, refusal } of waiting) {
			try {
				if (refusal === undefined) written();
				else written(refusal);
			} catch (error) {
				this.#log('error', 'a call failed after its record was written', { error: codeOf(error) });
			}
		}
	}
}
