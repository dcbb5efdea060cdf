/**
 * What each client can do. The tests hold every `yes` and `no` against the real client; docs/clients.md is made from
 * it by `node test/clients/write-page.ts`.
 */

export const WAYS = ['mtls_http', 'mtls_connect', 'token_http', 'token_connect', 'socket_http', 'socket_connect', 'door_mtls', 'door_token', 'door_socket', 'exec_http', 'exec_connect'] as const;
export type Way = (typeof WAYS)[number];

export type Cell =
	/** It works; the note says by what, where that is not plain. */
	| { readonly can: 'yes'; readonly note?: string }
	/** It is tried, and fails with this. */
	| { readonly can: 'no'; readonly fails: RegExp; readonly note: string }
	/** It has no setting for it. */
	| { readonly can: 'none'; readonly note?: string };

export interface Client {
	/** As the page names it. */
	readonly name: string;
	/** Tested with. */
	readonly version: string;
	readonly cells: Readonly<Record<Way, Cell>>;
}
