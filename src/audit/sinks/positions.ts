import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How far a sink has come: everything before `offset` of the segment whose first record is `segment`. */
export interface Position {
	readonly segment: number;
	readonly offset: number;
}

/**
 * The sinks' positions, in a small file of the audit directory. It may be older than the truth after a crash, never
 * newer: then records are delivered once more.
 */
export class Positions {
	readonly #path: string;
	readonly #positions: Map<string, Position>;
	#dirty = false;
	#saving: Promise<void> | undefined;

	private constructor(path: string, positions: Map<string, Position>) {
		this.#path = path;
		this.#positions = positions;
	}

	/** An unreadable file counts as none: every sink begins anew. */
	static async open(directory: string): Promise<Positions> {
		const path = join(directory, 'sinks.json');
		const positions = new Map<string, Position>();
		try {
			const read: unknown = JSON.parse(await readFile(path, 'utf8'));
			if (typeof read === 'object' && read !== null) {
				for (const [key, value] of Object.entries(read)) {
					const position = positionOf(value);
					if (position !== undefined) positions.set(key, position);
				}
			}
		} catch {
			positions.clear();
		}
		return new Positions(path, positions);
	}

	get(key: string): Position | undefined {
		return this.#positions.get(key);
	}

	set(key: string, position: Position): void {
		this.#positions.set(key, position);
		this.#dirty = true;
	}

	/** Writes the file if anything changed. Rejects when it cannot be written; the positions stay as they are. */
	async save(): Promise<void> {
		while (this.#saving !== undefined) await this.#saving.catch(() => {});
		if (!this.#dirty) return;
		this.#saving = this.#write();
		try {
			await this.#saving;
		} finally {
			this.#saving = undefined;
		}
	}

	async #write(): Promise<void> {
		this.#dirty = false;
		const next = `${this.#path}.next`;
		try {
			await writeFile(next, `${JSON.stringify(Object.fromEntries(this.#positions))}\n`, { mode: 0o640 });
			await rename(next, this.#path);
		} catch (error) {
			this.#dirty = true;
			throw error;
		}
	}
}

function positionOf(value: unknown): Position | undefined {
	if (typeof value !== 'object' || value === null || !('segment' in value) || !('offset' in value)) return undefined;
	const { segment, offset } = value;
	return Number.isSafeInteger(segment) && Number.isSafeInteger(offset)
		? { segment: Number(segment), offset: Math.max(0, Number(offset)) }
		: undefined;
}
