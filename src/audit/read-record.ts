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
