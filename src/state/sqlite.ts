import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { State, StateChange, StateEntry } from '../model/ports.ts';

export interface SqliteState extends State {
	readonly path: string;
	close(): void;
}

/** Whose file it is (SQLite's application_id): "SPLY". */
const APPLICATION = 0x53_50_4c_59;
/** The schema that this version writes. A newer one is not opened, an older one would be migrated here. */
const SCHEMA = 1;

const TABLES = `CREATE TABLE entries (
	space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, version INTEGER NOT NULL,
	PRIMARY KEY (space, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE versions (last INTEGER NOT NULL) STRICT;
INSERT INTO versions VALUES (0)`;

/** SQLite's result codes (https://sqlite.org/rescode.html), the primary ones. */
const BUSY = 5;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/**
 * Opens the file, or makes it (0600, with its folder). One process has it at a time. Throws, in words, when it is
 * damaged, of a newer version, of something else, or in use: what is kept there must be in force before anything is served.
 */
export function openSqliteState(path: string): SqliteState {
	try {
		mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
		closeSync(openSync(path, 'a', 0o600));
	} catch (error) {
		throw new Error(`state.sqlite: ${error instanceof Error ? error.message : String(error)}`);
	}
	// Not imported: it costs memory, which commands that open no state need not pay.
	const sqlite = process.getBuiltinModule('node:sqlite');
	let database: DatabaseSync | undefined;
	try {
		database = new sqlite.DatabaseSync(path, { enableForeignKeyConstraints: false, timeout: 0 });
		prepare(database);
		return new Sqlite(path, database);
	} catch (error) {
		if (database?.isOpen === true) database.close();
		throw new Error(`state.sqlite: ${path} ${openingProblem(error)}`);
	}
}

class Unfit extends Error {}

function prepare(database: DatabaseSync): void {
	// Held until the end, so that a second Sallyport cannot work on revocations that this one does not see.
	database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
	database.exec('PRAGMA cache_size = -256; PRAGMA trusted_schema = OFF; BEGIN IMMEDIATE');
	const application = pragma(database, 'application_id');
	const schema = pragma(database, 'user_version');
	const tables = Number(database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] ?? 0);
	if (tables === 0 && application === 0) {
		database.exec(`${TABLES}; PRAGMA application_id = ${APPLICATION}; PRAGMA user_version = ${SCHEMA}`);
	} else if (application !== APPLICATION) throw new Unfit('is a database of something else');
	else if (schema > SCHEMA)
		throw new Unfit(
			`was written by a newer version of Sallyport (schema ${schema}; this one knows ${SCHEMA}): run that version, or move the file away, and with it every revocation`,
		);
	database.exec('COMMIT');
	const check: unknown = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
	if (check !== 'ok') throw new Unfit(`${DAMAGED} (${String(check)})`);
}

const pragma = (database: DatabaseSync, name: string): number =>
	Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);

const DAMAGED =
	'is damaged: restore it from a copy. Moving it away lets Sallyport start with no revocation of its own in force';

function openingProblem(error: unknown): string {
	if (error instanceof Unfit) return error.message;
	switch (codeOf(error)) {
		case BUSY:
			return 'is in use by another process: every Sallyport needs a file of its own';
		case CORRUPT:
		case NOTADB:
			return DAMAGED;
		default:
			return `cannot be opened: ${words(error)}`;
	}
}

/** The primary result code. */
const codeOf = (error: unknown): number =>
	error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;

function words(error: unknown): string {
	switch (codeOf(error)) {
		case FULL:
			return 'there is no room on the disk';
		case READONLY:
			return 'it may not be written to';
		case IOERR:
			return 'the disk fails';
		case CANTOPEN:
			return 'it may not be opened here';
		default:
			return error instanceof Error ? error.message : String(error);
	}
}

class Sqlite implements SqliteState {
	readonly path: string;
	readonly #database: DatabaseSync;
	readonly #all: StatementSync;
	readonly #one: StatementSync;
	readonly #put: StatementSync;
	readonly #drop: StatementSync;
	readonly #next: StatementSync;

	constructor(path: string, database: DatabaseSync) {
		this.path = path;
		this.#database = database;
		this.#all = database.prepare('SELECT key, value, version FROM entries WHERE space = ? ORDER BY key');
		this.#one = database.prepare('SELECT version FROM entries WHERE space = ? AND key = ?');
		this.#put = database.prepare(
			'INSERT INTO entries (space, key, value, version) VALUES (?, ?, ?, ?) ' +
				'ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version',
		);
		this.#drop = database.prepare('DELETE FROM entries WHERE space = ? AND key = ?');
		this.#next = database.prepare('UPDATE versions SET last = last + 1 RETURNING last');
	}

	async list(space: string): Promise<readonly StateEntry[]> {
		return this.#worded(() =>
			this.#all.all(space).map(({ key, value, version }) => ({
				key: String(key),
				value: String(value),
				version: Number(version),
			})),
		);
	}

	async write(space: string, changes: readonly StateChange[]): Promise<boolean> {
		return this.#worded(() => {
			this.#database.exec('BEGIN IMMEDIATE');
			try {
				for (const { key, value, expected } of changes) {
					if (expected !== undefined && expected !== this.#version(space, key)) {
						this.#database.exec('ROLLBACK');
						return false;
					}
					if (value === undefined) this.#drop.run(space, key);
					else this.#put.run(space, key, value, Number(this.#next.get()?.['last']));
				}
				this.#database.exec('COMMIT');
				return true;
			} catch (error) {
				// After some failures SQLite has rolled back by itself.
				if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
				throw error;
			}
		});
	}

	close(): void {
		if (this.#database.isOpen) this.#database.close();
	}

	#version(space: string, key: string): number {
		return Number(this.#one.get(space, key)?.['version'] ?? 0);
	}

	#worded<T>(run: () => T): T {
		try {
			return run();
		} catch (error) {
			throw new Error(`${this.path}: ${words(error)}`, { cause: error });
		}
	}
}
