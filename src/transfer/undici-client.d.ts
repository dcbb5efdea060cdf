/** undici's Client alone: the whole package loads fetch, WebSocket and caches too, 13 MB of memory that a sidecar does not need. */
declare module 'undici/lib/dispatcher/client.js' {
	import type { Client } from 'undici';

	const client: typeof Client;
	export default client;
}
