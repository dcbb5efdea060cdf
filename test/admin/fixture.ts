import { type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import type { ControlRecord, RefusedConnection } from '../../src/model/record.ts';

export interface Answer {
	readonly status: number;
	readonly type: string;
	readonly headers: Readonly<Record<string, string | string[] | undefined>>;
	readonly text: string;
	json(): Record<string, unknown>;
}

/** One request on a connection of its own; rejects when the connection fails. */
export function ask(
	options: RequestOptions & {
		readonly ca?: Buffer;
		readonly cert?: Buffer;
		readonly key?: Buffer;
		readonly body?: string;
	},
): Promise<Answer> {
	const { body, ...rest } = options;
	return new Promise((resolve, reject) => {
		const open = rest.ca === undefined ? requestPlain : requestTls;
		const request = open({ agent: false, timeout: 10_000, ...rest }, response => {
			const chunks: Buffer[] = [];
			response.on('data', (chunk: Buffer) => chunks.push(chunk));
			response.on('error', reject);
			response.on('end', () => {
				const text = Buffer.concat(chunks).toString('utf8');
				resolve({
					status: response.statusCode ?? 0,
					type: response.headers['content-type'] ?? '',
					headers: response.headers,
					text,
					json: () => JSON.parse(text) as Record<string, unknown>,
				});
			});
		});
		request.on('error', reject);
		request.on('timeout', () => request.destroy(new Error('no answer in time')));
		request.end(body);
	});
}

/** A recorder that remembers. */
export function memory() {
	const control: ControlRecord[] = [];
	const refused: RefusedConnection[] = [];
	return {
		control,
		refused,
		recorder: {
			control: (record: ControlRecord): void => {
				control.push(record);
			},
			refusedConnection: (record: RefusedConnection): void => {
				refused.push(record);
			},
		},
	};
}

/** For a control API under which nobody is revoked. */
export const nobodyRevoked = {
	clock: { now: () => Date.now() },
	revocations: {
		list: () => [],
		refusal: () => undefined,
		revoke: async () => ({ connections: 0, milliseconds: 0, replaced: false }),
		revoked: () => undefined,
		undo: async () => ({ missing: 'It is not revoked.' }),
	},
};
