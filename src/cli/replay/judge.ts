import { objectOf, policyPathOf, type ReadRecord, textOf } from '../../audit/read-record.ts';
import type { PolicyPath } from '../../model/call.ts';
import type { AgentPolicy } from '../../model/ports.ts';
import type { Verdict } from '../../model/verdict.ts';
import { parsePath } from '../../policy/reads.ts';
import { judge, readStatement } from '../../policy/verdict.ts';
import { completed, knownPaths } from './known.ts';

/** What policy said, or would say. */
export interface Said {
	readonly verdict: Verdict['verdict'];
	readonly cause?: string;
}

export type Judged =
	/** Policy was not asked. */
	| { readonly kind: 'not_judged' }
	| { readonly kind: 'undetermined'; readonly why: string }
	| { readonly kind: 'judged'; readonly path: PolicyPath; readonly before: Said; readonly after: Said };

/** Causes that policy is the reason of. */
const BY_POLICY: Readonly<Record<string, Verdict['verdict']>> = {
	no_rule: 'deny',
	denied_by_rule: 'deny',
	approval_required: 'ask',
	phase_undefined: 'deny',
	policy_error: 'deny',
	policy_exhausted: 'deny',
};
/** Lists of paths that are remembered: records of one policy have the same. */
const MOST_READS = 256;

type Paths = readonly (readonly string[])[];

/** Judges records again. `policyOf` gives the candidate, with the other bundles that judged then; in words why it cannot. */
export class Judge {
	readonly #policyOf: (record: ReadRecord) => AgentPolicy | string;
	readonly #reads = new Map<string, Paths | undefined>();

	constructor(policyOf: (record: ReadRecord) => AgentPolicy | string) {
		this.#policyOf = policyOf;
	}

	/** Whatever stands in a record, the others are judged. */
	judge(record: ReadRecord): Judged {
		try {
			return this.#judged(record);
		} catch {
			return { kind: 'undetermined', why: 'the record cannot be read' };
		}
	}

	#judged(record: ReadRecord): Judged {
		const path = policyPathOf(record);
		const input = objectOf(record.input);
		const before = said(record);
		if (path === undefined || before === undefined) return { kind: 'not_judged' };
		if (input === undefined) return { kind: 'undetermined', why: 'the input is not in the record' };
		const policy = this.#policyOf(record);
		if (typeof policy === 'string') return { kind: 'undetermined', why: policy };
		const lack = this.#lack(record, policy, path);
		if (lack.why !== undefined) return { kind: 'undetermined', why: lack.why };
		const { verdict, cause } = policy.evaluate(
			path,
			JSON.stringify(lack.complete ? completed(record, input, path) : input),
		);
		return { kind: 'judged', path, before, after: { verdict, ...(cause === undefined ? {} : { cause }) } };
	}

	/** What the candidate reads and the record does not hold. `complete`: parts of the record beside the input must help. */
	#lack(record: ReadRecord, policy: AgentPolicy, path: PolicyPath): { why?: string; complete: boolean } {
		const reads = policy.reads(path);
		const masked = maskedPaths(record).find(pointer => reads.has(...pointer));
		if (masked !== undefined) return { why: `masked: ${masked.join('.')}`, complete: false };
		const had = record.reads === undefined ? undefined : this.#pathsOf(record.reads);
		// Everything was built.
		if (had === undefined) return { complete: false };
		if (reads.paths === undefined)
			return { why: 'what the candidate reads is not known, and the record does not hold everything', complete: false };
		const wanted = this.#pathsOf(reads.paths) ?? [];
		const missing = wanted.filter(one => !covers(had, one));
		if (missing.length === 0) return { complete: false };
		const known = knownPaths(record);
		const unknown = missing.find(one => !covers(known, one));
		return unknown === undefined ? { complete: true } : { why: `not recorded: ${unknown.join('.')}`, complete: false };
	}

	#pathsOf(reads: unknown): Paths | undefined {
		const key = JSON.stringify(reads);
		if (this.#reads.has(key)) return this.#reads.get(key);
		const paths = Array.isArray(reads) ? reads.map(text => parsePath(String(text))) : undefined;
		if (this.#reads.size >= MOST_READS) this.#reads.clear();
		this.#reads.set(key, paths);
		return paths;
	}
}

/** Whether one of the paths is a whole that holds the wanted one. */
const covers = (paths: Paths, wanted: readonly string[]): boolean =>
	paths.some(path => path.every((key, index) => key === wanted[index]));

/** What policy said then, whatever became of it; undefined when it was not asked. */
function said(record: ReadRecord): Said | undefined {
	const cause = textOf(record.cause);
	const verdict = cause === undefined ? undefined : BY_POLICY[cause];
	if (cause !== undefined && verdict !== undefined) return { verdict, cause };
	if (cause === undefined && record.verdict === 'allow') return { verdict: 'allow' };
	// Refused for another reason after policy had spoken, such as a revocation.
	if (record.result === undefined) return undefined;
	const statement = readStatement(JSON.stringify([{ result: record.result }]), 'package');
	if ('error' in statement) return undefined;
	const judged = judge([statement], 0);
	return { verdict: judged.verdict, ...(judged.cause === undefined ? {} : { cause: judged.cause }) };
}

/** Places of the input that stand masked, as keys. */
function maskedPaths({ masked }: ReadRecord): Paths {
	if (!Array.isArray(masked)) return [];
	return masked
		.map(pointer => String(pointer).split('/'))
		.filter(([, head]) => head === 'input')
		.map(([, , ...keys]) => keys.map(key => key.replaceAll('~1', '/').replaceAll('~0', '~')));
}
