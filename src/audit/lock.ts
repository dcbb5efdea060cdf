import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What makes a process the only owner of an audit directory. */
export interface Lock {
	release(): void;
}

/**
 * The lock of SQLite on an empty database in the directory: the kernel's own file lock, which ends with its process
 * however it dies, holds between containers that share a volume, and keeps a second opener in one process out too.
 * Throws when another holds it.
 */
export function lockDirectory(directory: string): Lock {
	const file = join(directory, 'lock');
	const database = new DatabaseSync(file);
	try {
		database.exec('BEGIN EXCLUSIVE');
	} catch (error) {
		database.close();
		if (error instanceof Error && /locked/i.test(error.message)) {
			throw new Error(`the audit directory ${directory} belongs to another running Sallyport`, { cause: error });
		}
		throw error;
	}
	return { release: () => database.close() };
}
