import { test } from 'node:test';
import { LOOPBACK_NAMES } from '../../src/identity/dev-ca.ts';
import { stage } from '../identity/workload-stage.ts';
import { toolFor } from '../support/chart.ts';
import { startSallyport } from '../support/sallyport.ts';
import { TRUST_DOMAIN } from '../support/workspace.ts';
import { assertFires, longWorkspace, scrape } from './firing.ts';

test('an SVID that nobody renews, and none at all', async t => {
	const promtool = toolFor(t, 'promtool');
	if (promtool === undefined) return;
	const workspace = longWorkspace(t);
	const sallyport = await startSallyport(t, workspace);
	const before = await scrape(sallyport);
	workspace.issue('sallyport', `spiffe://${TRUST_DOMAIN}/sallyport`, { names: LOOPBACK_NAMES, lifetime: 540_000 });
	await sallyport.waitForLog(({ msg }) => msg === 'a new SVID is in force', 'the short one is taken');
	const short = await scrape(sallyport);
	assertFires(t, promtool, ['SallyportSvidExpires'], { texts: [before, short], later: 3 });

	const without = await stage(t, api => api.hush());
	assertFires(t, promtool, ['SallyportWithoutSvid'], { texts: [before, await scrape(without.sallyport)] });
});
