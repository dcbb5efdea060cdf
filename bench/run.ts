import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureActivation } from './activation.ts';
import { buildRuler } from './cache.ts';
import type { Candidate } from './candidate.ts';
import { bareNode } from './candidates/bare-node.ts';
import { envoy } from './candidates/envoy.ts';
import { haproxy } from './candidates/haproxy.ts';
import { nginx } from './candidates/nginx.ts';
import { build, sallyport } from './candidates/sallyport.ts';
import { makeCertificates } from './certificates.ts';
import type { Bench } from './load.ts';
import { describeCommit, describeMachine } from './machine.ts';
import { measureMemory } from './memory.ts';
import { type CandidateName, HELP, type Options, readOptions } from './options.ts';
import { pinSelf } from './processes.ts';
import { report } from './report.ts';
import type { Result } from './result.ts';
import { runSeries, type Series } from './rounds.ts';
import { measureStartUp } from './start-up.ts';
import { AIMS, HANDSHAKE_CONNECTIONS } from './summary.ts';
import { startUpstream } from './upstream.ts';

const REQUEST_BYTES = 500;
const REPLY_BYTES = 1024;
const CONNECTIONS = [1, 8, 64];
const GRANTS = [10, 1000, 100_000];
/** What is measured of Sallyport alone. */
const OWN: readonly CandidateName[] = ['start-up', 'memory', 'activation'];
/** Three points a round: the difference that is looked for is smaller than the noise of one. */
const GRANT_POINTS = [AIMS.connections, AIMS.connections, AIMS.connections];

const options = readOptions(process.argv.slice(2));
if (options === 'help') process.stdout.write(HELP);
else if ('mistake' in options) {
	process.stderr.write(`bench: ${options.mistake}\n`);
	process.exitCode = 2;
} else {
	try {
		await bench(options);
	} catch (error) {
		process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
		process.exitCode = 1;
	}
}

async function bench(options: Options): Promise<void> {
	if (cpus().length < 2) throw new Error('two cores are needed: one for the proxy, one for the load');
	const ruler = buildRuler();
	if ('missing' in ruler) throw new Error(ruler.missing);
	pinSelf(1);
	const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
	const upstream = await startUpstream(ruler, 1, REPLY_BYTES, folder);
	try {
		const certificates = await makeCertificates(join(folder, 'certs'));
		const shared: Bench = { ruler, certificates, cores: [0, 1], requestBytes: REQUEST_BYTES };
		const result = await measure(options, shared, upstream.port);
		const text = report(result);
		process.stdout.write(`\n${text}`);
		const { startUp, memory, peers, grants, handshakes, activation } = result;
		const lists = [peers, grants, handshakes, activation];
		if (lists.every(list => list.length === 0) && startUp === undefined && memory === undefined)
			throw new Error('nothing could be measured');
		if (options.quick || options.only.length > 0 || options.flags.length > 0) return;
		if (!peers.some(({ name }) => name === 'sallyport')) throw new Error('nothing is written without Sallyport');
		const base = join(import.meta.dirname, 'results', `${result.date.slice(0, 10)}-${result.commit}`);
		await mkdir(join(base, '..'), { recursive: true });
		await writeFile(`${base}.json`, `${JSON.stringify(result, undefined, '\t')}\n`);
		await writeFile(`${base}.md`, text);
		process.stdout.write(`\nWritten to bench/results/${result.date.slice(0, 10)}-${result.commit}.json and .md\n`);
	} finally {
		await upstream.stop();
		await rm(folder, { recursive: true, force: true });
	}
}

async function measure(options: Options, bench: Bench, upstreamPort: number): Promise<Result> {
	const asked = (name: CandidateName): boolean => options.only.length === 0 || options.only.includes(name);
	const { flags, built, quick, rounds } = options;
	const durations = quick ? { seconds: 1.5, warmUp: 0.5, heat: 3 } : { seconds: 5, warmUp: 1, heat: 5 };
	const missing: string[] = [];
	const candidates: { name: string; what: string; version: string }[] = [];
	const had = async (wanted: readonly Candidate[]): Promise<Candidate[]> => {
		const all: Candidate[] = [];
		for (const candidate of wanted) {
			const got = await candidate.prepare();
			if ('missing' in got) {
				missing.push(got.missing);
				process.stderr.write(`${got.missing}\n`);
				continue;
			}
			candidates.push({ name: candidate.name, what: candidate.what, version: got.version });
			all.push(candidate);
		}
		return all;
	};
	const peers = await had([
		...(asked('sallyport') ? [sallyport({ name: 'sallyport', grants: 10, flags, built })] : []),
		...(asked('envoy') ? [envoy()] : []),
		...(asked('bare-node') ? [bareNode()] : []),
	]);
	const [own] = peers.filter(({ name }) => name === 'sallyport');
	const shaking = asked('handshakes')
		? await had([
				...(own === undefined ? [sallyport({ name: 'sallyport', grants: 10, flags, built })] : []),
				haproxy(),
				nginx(),
			])
		: [];
	const left = asked('sallyport') && !peers.some(({ name }) => name === 'sallyport');
	const grants =
		asked('grants') && !left
			? await had(
					GRANTS.map((count, index) =>
						sallyport({
							name: `${count.toLocaleString('en')} grants`,
							grants: count,
							flags,
							built: built || index > 0 || asked('sallyport'),
						}),
					),
				)
			: [];
	const alone = OWN.filter(asked);
	const problem = alone.length > 0 && !built && !asked('sallyport') && !asked('grants') ? build() : undefined;
	if (problem !== undefined) missing.push(`Sallyport is left out: \`npm run build\` fails. ${problem}`);
	const sized = (name: CandidateName): boolean => asked(name) && problem === undefined && !left;
	const run = (series: Omit<Series, 'rounds' | 'kinds' | keyof typeof durations> & Partial<Pick<Series, 'kinds'>>) =>
		runSeries({ kinds: ['requests'], ...series, rounds, ...durations }, { bench, upstreamPort, say });
	return {
		date: new Date().toISOString(),
		...describeCommit(),
		machine: describeMachine(),
		method: { rounds, ...durations, request_bytes: REQUEST_BYTES, reply_bytes: REPLY_BYTES, connections: CONNECTIONS },
		candidates,
		missing,
		peers: peers.length === 0 ? [] : await run({ candidates: peers, connections: CONNECTIONS }),
		grants: grants.length === 0 ? [] : await run({ candidates: grants, connections: GRANT_POINTS }),
		handshakes:
			shaking.length === 0
				? []
				: await run({
						candidates: own === undefined ? shaking : [own, ...shaking],
						connections: [HANDSHAKE_CONNECTIONS],
						kinds: ['full handshakes', 'resumed handshakes'],
					}),
		...(sized('start-up')
			? { startUp: await measureStartUp({ bench, upstreamPort, starts: quick ? 3 : 9, idle: quick ? 4 : 15 }) }
			: {}),
		...(sized('memory')
			? { memory: await measureMemory({ bench, upstreamPort, flags, count: quick ? 200 : 1000, say }) }
			: {}),
		activation: sized('activation')
			? await measureActivation({
					...{ bench, upstreamPort, flags, say },
					connections: AIMS.connections,
					swaps: quick ? 3 : 8,
				})
			: [],
	};
}

function say(line: string): void {
	process.stderr.write(`${line}\n`);
}
