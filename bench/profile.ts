import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildRuler } from './cache.ts';
import { sallyport } from './candidates/sallyport.ts';
import { makeCertificates } from './certificates.ts';
import { drive } from './load.ts';
import { pinSelf } from './processes.ts';
import { type CpuProfile, type Spent, selfTimes } from './self-time.ts';
import { startUpstream } from './upstream.ts';

const HELP = `Runs Sallyport's sources under load with --cpu-prof and prints where its CPU time goes, in us per request.

  node bench/profile.ts                         64 connections, 8 seconds
  node bench/profile.ts --connections 1 --seconds 4 --top 60
  node bench/profile.ts --out before.json       keeps the figures
  node bench/profile.ts --against before.json   shows what changed
  node bench/profile.ts --keep FOLDER           keeps the .cpuprofile for other viewers
`;

/** What `--out` keeps. */
interface Kept {
	readonly perRequest: number;
	readonly functions: Readonly<Record<string, number>>;
	readonly groups: Readonly<Record<string, number>>;
}

const { values } = parseArgs({
	options: {
		connections: { type: 'string', default: '64' },
		seconds: { type: 'string', default: '8' },
		top: { type: 'string', default: '45' },
		out: { type: 'string' },
		against: { type: 'string' },
		keep: { type: 'string' },
		'node-flag': { type: 'string', multiple: true, default: [] },
		help: { type: 'boolean', short: 'h', default: false },
	},
});
if (values.help) process.stdout.write(HELP);
else await profile();

async function profile(): Promise<void> {
	const ruler = buildRuler();
	if ('missing' in ruler) throw new Error(ruler.missing);
	pinSelf(1);
	const folder = await mkdtemp(join(tmpdir(), 'sallyport-profile-'));
	const upstream = await startUpstream(ruler, 1, 1024, folder);
	try {
		const certificates = await makeCertificates(join(folder, 'certs'));
		const profiles = values.keep ?? join(folder, 'profiles');
		await mkdir(profiles, { recursive: true });
		const flags = ['--cpu-prof', '--cpu-prof-interval=400', `--cpu-prof-dir=${profiles}`, ...values['node-flag']];
		const candidate = sallyport({ name: 'sallyport', grants: 10, flags, sources: true });
		const own = join(folder, 'sallyport');
		await mkdir(own);
		const running = await candidate.start({ certificates, upstreamPort: upstream.port, folder: own, core: 0 });
		const bench = { ruler, certificates, cores: [0, 1], requestBytes: 500 } as const;
		const load = {
			kind: 'requests',
			connections: Number(values.connections),
			seconds: Number(values.seconds),
			warmUp: 4,
		} as const;
		const point = await drive(bench, running, load).catch(async error => {
			await running.stop(0);
			throw error;
		});
		const wrong = await running.stop(point.requests);
		const [file] = (await readdir(profiles)).filter(name => name.endsWith('.cpuprofile')).sort();
		if (file === undefined) throw new Error('Sallyport left no profile: it did not end by itself');
		const taken = JSON.parse(await readFile(join(profiles, file), 'utf8')) as CpuProfile;
		const spent = selfTimes(taken, point.window);
		process.stdout.write(
			`${point.requests} requests, ${Math.round(point.perCpuSecond)}/CPU-s (${(1e6 / point.perCpuSecond).toFixed(1)} us each, profiler included), ` +
				`p50 ${point.p50} us, p99 ${point.p99} us, ${(point.resident / 1e6).toFixed(0)} MB resident\n`,
		);
		if (wrong !== undefined) process.stdout.write(`${wrong}\n`);
		await print(spent, point.requests);
	} finally {
		await upstream.stop();
		await rm(folder, { recursive: true, force: true });
	}
}

async function print(spent: Spent, requests: number): Promise<void> {
	const each = (micros: number): number => micros / requests;
	const kept: Kept = {
		perRequest: each(spent.busy),
		functions: Object.fromEntries([...spent.functions].map(([name, { self }]) => [name, each(self)])),
		groups: Object.fromEntries([...spent.groups].map(([name, micros]) => [name, each(micros)])),
	};
	const before =
		values.against === undefined ? undefined : (JSON.parse(await readFile(values.against, 'utf8')) as Kept);
	const line = (self: number, was: number | undefined, total: number | undefined, name: string): void => {
		const change = was === undefined ? '' : ` ${signed(self - was).padStart(8)}`;
		const inclusive = total === undefined ? '' : ` ${total.toFixed(2).padStart(8)}`;
		process.stdout.write(`${self.toFixed(2).padStart(8)}${change}${inclusive}  ${name}\n`);
	};
	const changeHead = before === undefined ? '' : '   change';
	process.stdout.write(`\nus a request by place${changeHead === '' ? '' : ', and the change'}\n`);
	line(kept.perRequest, before?.perRequest, undefined, 'all');
	for (const [name, self] of sorted(kept.groups)) line(self, before && (before.groups[name] ?? 0), undefined, name);
	process.stdout.write(`\n    self${changeHead}    total  function\n`);
	for (const [name, self] of sorted(kept.functions).slice(0, Number(values.top))) {
		line(self, before && (before.functions[name] ?? 0), each(spent.functions.get(name)?.total ?? 0), name);
	}
	if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(kept)}\n`);
}

function sorted(of: Readonly<Record<string, number>>): [string, number][] {
	return Object.entries(of).sort(([, a], [, b]) => b - a);
}

function signed(value: number): string {
	return `${value >= 0 ? '+' : ''}${value.toFixed(2)}`;
}
