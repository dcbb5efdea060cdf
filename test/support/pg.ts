import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';

export interface PgOptions {
	readonly port: number;
	readonly host?: string;
	readonly user: string;
	readonly database: string;
	readonly password?: string;
	/** The start-up parameter of this name. */
	readonly options?: string;
	readonly ssl?: ConnectionOptions;
	readonly sslnegotiation?: 'direct' | 'postgres';
}

/** A client of `pg`, not connected yet. */
export function pgClient({ ssl, sslnegotiation, ...options }: PgOptions): pg.Client {
	const client = new pg.Client({
		host: '127.0.0.1',
		...options,
		...(ssl === undefined ? {} : { ssl: { servername: 'localhost', ...ssl } }),
		...(sslnegotiation === undefined ? {} : { sslnegotiation }),
	});
	// What a test looks for comes through the promises; without a listener the process would end.
	client.on('error', () => {});
	return client;
}

/** Rows of one query on a connection of its own. */
export async function pgQuery(
	options: PgOptions,
	text: string,
	values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
	const client = pgClient(options);
	await client.connect();
	try {
		const { rows } = await client.query(text, values);
		return rows as Record<string, unknown>[];
	} finally {
		await client.end();
	}
}

/** The error with which the server refuses a connection. */
export async function pgError(options: PgOptions): Promise<pg.DatabaseError> {
	const client = pgClient(options);
	try {
		await client.connect();
	} catch (error) {
		if (error instanceof pg.DatabaseError) return error;
		throw error;
	}
	await client.end();
	throw new Error('the connection was not refused');
}

/** Process id and secret as the client got them. */
export function keyOf(client: pg.Client): Buffer {
	const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
	const key = Buffer.alloc(8);
	key.writeInt32BE(processID, 0);
	key.writeInt32BE(secretKey, 4);
	return key;
}
