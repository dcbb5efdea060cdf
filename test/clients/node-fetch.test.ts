import { test } from 'node:test';
import { checkClient, programOf } from './check.ts';

test("Node's own fetch", t =>
	checkClient(t, 'nodeFetch', (way, stage) => {
		const { PROXY_TOKEN, CA } = stage.environment(way);
		// It has no settings of its own: only the environment.
		const env = way.startsWith('token')
			? { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: PROXY_TOKEN, HTTPS_PROXY: PROXY_TOKEN, NODE_EXTRA_CA_CERTS: CA }
			: {};
		return { words: [process.execPath, programOf('node-fetch.mjs'), way], env };
	}));
