import { test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { openStage, runClient, recordOf } from './stage.ts';
import { WAYS } from './matrix.ts';
import { python } from './python.ts';
test('explore', async t => {
	const stage = await openStage(t);
	const p = python(); const py = 'path' in p ? p.path : '';
	const dir = new URL('./programs/', import.meta.url).pathname;
	const go = stage.workspace.path('goclient');
	const b = spawnSync('go', ['build', '-o', go, dir + 'client.go'], { encoding: 'utf8' });
	console.log(b.stderr);
	const N = process.execPath;
	for (const [name, cmd] of Object.entries({ httpx: [py, dir + 'httpx_client.py'], requests: [py, dir + 'requests_client.py'], aiohttp: [py, dir + 'aiohttp_client.py'], fetch: [N, dir + 'node-fetch.mjs'], http: [N, dir + 'node-http.mjs'], undici: [N, dir + 'undici.mjs'], go: [go] })) {
		for (const way of WAYS) {
			const from = stage.sallyport.records().at(-1)?.seq ?? 0;
			const env = name === 'fetch' && way.startsWith('token') ? { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: stage.environment(way).PROXY_TOKEN, HTTPS_PROXY: stage.environment(way).PROXY_TOKEN, NODE_EXTRA_CA_CERTS: stage.workspace.ca } : {};
			const said = await runClient(stage, way, [...cmd, way], env as NodeJS.ProcessEnv);
			const rec = stage.sallyport.records().find(r => r.seq > from && r.type === 'decision');
			console.log(name, way, JSON.stringify(said).slice(0, 300), rec === undefined ? 'NO RECORD' : [rec.verdict, rec.cause, rec.path, rec.call?.listener, rec.call?.authentication].join(' '));
		}
	}
});
