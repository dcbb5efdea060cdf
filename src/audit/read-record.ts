import { POLICY_PATHS, type PolicyPath } from '../model/call.ts';
import type { BundleRevision } from '../model/verdict.ts';

/** A record as read; its form is docs/audit.md, but what is in a file is not trusted to have it. */
export type ReadRecord = Readonly<Record<string, unknown>>;

/** Undefined where the line is no JSON object. */
export function parseRecord(line: Buffer): ReadRecord | undefined {
	try {
		return objectOf(JSON.parse(line.toString()));
	} catch {
		return undefined;
	}
}

export const objectOf = (value: unknown): ReadRecord | undefined =>
	typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as ReadRecord) : undefined;

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** What policy was asked, of a decision; undefined where it was not. */
export const policyPathOf = (record: ReadRecord): PolicyPath | undefined =>
	POLICY_PATHS.find(known => record.path === `sallyport/${known}`);

/** The bundles that a decision names. */
export const bundlesOf = (record: ReadRecord): readonly BundleRevision[] =>
	Object.entries(objectOf(record.bundles) ?? {}).map(([name, of]) => ({
		name,
		revision: textOf(objectOf(of)?.revision) ?? '',
	}));
