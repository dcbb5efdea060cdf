import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { AuditConfig } from '../config/schema.ts';
import { RECORD_TYPES } from '../model/record.ts';
import { algorithmOf, type SigningKey } from './checkpoint.ts';
import type { Audit, AuditDeps } from './contract.ts';
import { spoolIo } from './io.ts';
import { Lines } from './line.ts';
import { lockDirectory } from './lock.ts';
import { Masking } from './mask.ts';
import { ChainRecorder } from './recorder.ts';
import { type Feeds, openFeeds } from './sinks/registry.ts';
import type { SinkDeps } from './sinks/sink.ts';
import { makeDirectory, readDirectory, readSalt } from './start.ts';

export { type SigningKey, signingKey } from './checkpoint.ts';
export type { Audit, AuditDeps, AuditLog, AuditMetrics, AuditStatus } from './contract.ts';
export { signerOf } from './signer.ts';

/** Takes the directory, repairs what a killed run left, and goes on with its chain. Throws when it cannot start. */
export async function openAudit(config: AuditConfig, deps: AuditDeps): Promise<Audit> {
	const signer = await signerOf(config, deps);
	checkTypes(config);
	const { directory } = config;
	await makeDirectory(directory);
	const lock = lockDirectory(directory);
	let feeds: Feeds = { all: [], committing: undefined };
	try {
		const start = await readDirectory(directory);
		const masking = new Masking(await readSalt(directory), config.bodies === 'full');
		const lines = new Lines(deps.labels, masking, config.sql);
		const recorder = new ChainRecorder({
			config,
			deps: { ...deps, signer },
			lines,
			start,
			io: deps.io ?? spoolIo,
			lock,
		});
		const sinkDeps: SinkDeps & AuditDeps = {
			...deps,
			stdout: deps.stdout ?? 1,
			setAside: (sink, records) => recorder.setAside(sink, records),
		};
		feeds = await openFeeds(config, recorder.source, sinkDeps, seq => recorder.committed(seq));
		recorder.begin(feeds.all, feeds.committing);
		return recorder;
	} catch (error) {
		for (const feed of feeds.all) await feed.close(0);
		lock.release();
		throw error;
	}
}

async function signerOf(config: AuditConfig, deps: AuditDeps): Promise<() => SigningKey | undefined> {
	if (config.key === undefined) return deps.signer;
	const key = createPrivateKey(await readFile(config.key));
	if (algorithmOf(key) === undefined) throw new Error(`${config.key}: audit.key must be an EC, RSA or Ed25519 key`);
	return () => ({ key });
}

function checkTypes(config: AuditConfig): void {
	const known: readonly string[] = RECORD_TYPES;
	for (const sink of config.sinks) {
		for (const { types = [] } of Object.values(sink)) {
			for (const type of types) {
				if (!known.includes(type)) {
					throw new Error(`audit.sinks: there is no record type "${type}"; the types are ${known.join(', ')}`);
				}
			}
		}
	}
}
