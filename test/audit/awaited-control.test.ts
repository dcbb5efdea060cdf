import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Audit } from '../../src/audit/contract.ts';
import { spoolIo } from '../../src/audit/io.ts';
import { configOf, depsOf, opened, recordsOf, temporary } from './fixture.ts';

const CANCEL = { action: 'cancel', operator: 'spiffe://example.org/agents/a' };

/** Undefined when what waits for the record may happen. */
const awaited = (audit: Audit): Promise<string | undefined> =>
	new Promise(resolve => audit.control(CANCEL, refusal => resolve(refusal?.cause)));

for (const durability of ['write', 'fsync'] as const) {
	for (const on_failure of ['deny', 'continue'] as const) {
		test(`who waits for a control record acts after it, or with ${on_failure} (${durability})`, async t => {
			const directory = await temporary(t);
			let full = false;
			const io = {
				...spoolIo,
				write: (fd: number, buffer: Uint8Array, offset: number, length: number): number => {
					if (full) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
					return spoolIo.write(fd, buffer, offset, length);
				},
			};
			const lost: [string, number][] = [];
			const metrics = { ...depsOf().metrics, lost: (type: string, count: number) => void lost.push([type, count]) };
			const audit = await opened(t, configOf(directory, { durability, on_failure }), depsOf({ io, metrics }));
			const cancels = async (): Promise<number> =>
				(await recordsOf(directory)).filter(({ action }) => action === 'cancel').length;

			assert.equal(await awaited(audit), undefined);
			assert.equal(await cancels(), 1, 'it is there by then');

			full = true;
			const expected = on_failure === 'deny' ? 'audit_unavailable' : undefined;
			assert.equal(await awaited(audit), expected, 'the write fails');
			assert.equal(await awaited(audit), expected, 'nothing is written meanwhile');
			full = false;
			await audit.maintain();
			assert.equal(audit.unwritable, undefined);
			await audit.flush();
			assert.equal(await cancels(), on_failure === 'deny' ? 1 : 3, 'what was refused is not written later');
			assert.deepEqual(lost.filter(([type]) => type === 'control').length, on_failure === 'deny' ? 2 : 0);
		});
	}
}
