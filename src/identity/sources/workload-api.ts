import { type EndpointSocket, endpointSocketText } from '../../formats/endpoint-socket.ts';
import type { Clock } from '../../model/ports.ts';
import { readJwtBundle } from '../bundles/document.ts';
import type { When } from '../path.ts';
import type { Svid } from '../svid.ts';
import type { Broken, JwtAuthorities, TrustBundle } from '../trust.ts';
import { JwtSvids } from './jwt-svids.ts';
import type { JwtSvid, SourceNews, SourceState, SourceStatus, SvidSource } from './source.ts';
import { type CallEnd, CODE, openWorkloadClient, type WorkloadClient } from './workload-client.ts';
import { readJwtBundlesMessage, readX509Message } from './workload-messages.ts';
import { WorkloadStream } from './workload-stream.ts';
import { type Choice, domainOf, federatedOf, svidOf } from './workload-svid.ts';

export interface WorkloadApiDeps {
	readonly trustDomain: string;
	readonly clock: Clock;
	when(): When;
	readonly news: SourceNews;
	/** Told when the stream of SVIDs opens, breaks, or is not to be had for another reason than before. */
	connection(connected: boolean, problem: string | undefined): void;
}

/** What is in force. */
interface Held {
	readonly svid: Svid | undefined;
	readonly missing: string;
	readonly federated: ReadonlyMap<string, TrustBundle>;
}

const WAITING = 'Sallyport has no SVID yet: it waits for the Workload API';

/**
 * The SVID from a SPIFFE Workload API (SPIFFE_Workload_API.md). Each answer is the whole state: what is good is in force at
 * once, what is broken leaves the answer before it in force, and what says that there is no SVID ends the one there was.
 * While the agent is away the SVID goes on to its end.
 */
export class WorkloadApi implements SvidSource {
	readonly #socket: EndpointSocket;
	readonly #choice: Choice;
	readonly #deps: WorkloadApiDeps;
	#held: Held = { svid: undefined, missing: WAITING, federated: new Map() };
	#federatedProblems: ReadonlyMap<string, string> = new Map();
	#crls = 0;
	#connected = false;
	#since: number;
	#problem: string | undefined;
	/** Of the last answer. */
	#broken: Broken | undefined;
	#jwt: ReadonlyMap<string, JwtAuthorities> = new Map();
	#jwtProblem: string | undefined;
	#x509Stream: WorkloadStream | undefined;
	#jwtStream: WorkloadStream | undefined;
	#jwtSvids: JwtSvids | undefined;

	constructor(socket: EndpointSocket, choice: Choice, deps: WorkloadApiDeps) {
		this.#socket = socket;
		this.#choice = choice;
		this.#deps = deps;
		this.#since = deps.clock.now();
	}

	/** Does not wait for an answer: that there is no identity yet is a state, not an error. */
	async start(): Promise<void> {
		this.run(await openWorkloadClient(this.#socket));
	}

	/** Begins to fetch by the client. */
	run(client: WorkloadClient): void {
		this.#jwtSvids = new JwtSvids({
			client,
			clock: this.#deps.clock,
			spiffeId: () => this.#held.svid?.spiffeId.id,
		});
		this.#x509Stream = new WorkloadStream(client, 'FetchX509SVID', {
			message: bytes => this.#takeX509(bytes),
			down: (end, forever) => this.#x509Down(end, forever),
		});
		this.#jwtStream = new WorkloadStream(client, 'FetchJWTBundles', {
			message: bytes => this.#takeJwt(bytes),
			down: (end, forever) => this.#jwtDown(end, forever),
		});
		this.#x509Stream.open();
		this.#jwtStream.open();
	}

	state(): SourceState {
		const { svid, missing, federated } = this.#held;
		return { svid, ...(svid === undefined ? { missing } : {}), federated: [...federated.values()] };
	}

	status(): SourceStatus {
		return {
			kind: 'workload_api',
			from: endpointSocketText(this.#socket),
			connected: this.#connected,
			since: this.#since,
			...(this.#problem === undefined ? {} : { problem: this.#problem }),
			...(this.#crls === 0 ? {} : { crls: this.#crls }),
			...(this.#federatedProblems.size === 0 ? {} : { federated: this.#federatedProblems }),
			...(this.#jwtProblem === undefined ? {} : { jwtProblem: this.#jwtProblem }),
		};
	}

	jwtAuthorities(trustDomain: string): JwtAuthorities | undefined {
		return this.#jwt.get(trustDomain);
	}

	async jwtSvid(audience: string): Promise<JwtSvid | Broken> {
		return (await this.#jwtSvids?.get(audience)) ?? { broken: 'the Workload API was not opened' };
	}

	/** Streams that wait for their next try are opened now. */
	async reload(): Promise<Broken | undefined> {
		this.#x509Stream?.open();
		this.#jwtStream?.open();
		if (this.#broken !== undefined) return this.#broken;
		return this.#connected ? undefined : { broken: this.#problem ?? WAITING };
	}

	close(): void {
		this.#x509Stream?.close();
		this.#jwtStream?.close();
	}

	#takeX509(bytes: Buffer): void {
		this.#connection(true, undefined);
		const message = readX509Message(bytes);
		if ('broken' in message) {
			this.#refuse(message);
			return;
		}
		const { trustDomain } = this.#deps;
		const federated = federatedOf(message, trustDomain, this.#held.federated);
		if ('broken' in federated) {
			this.#refuse(federated);
			return;
		}
		const svid = svidOf(message, this.#choice, trustDomain, this.#deps.when());
		if ('broken' in svid) {
			this.#refuse(svid);
			return;
		}
		this.#crls = message.crls;
		this.#federatedProblems = federated.problems;
		this.#broken = undefined;
		if ('missing' in svid) {
			this.#problem = svid.details;
			this.#withdraw(`Sallyport has no SVID: ${svid.missing}`);
			return;
		}
		if (svid.spiffeId.id !== this.#held.svid?.spiffeId.id) this.#jwtSvids?.forget();
		this.#held = { svid, missing: '', federated: federated.bundles };
		this.#deps.news(undefined);
	}

	#refuse(broken: Broken): void {
		this.#broken = broken;
		if (this.#held.svid === undefined)
			this.#held = { ...this.#held, missing: 'Sallyport has no SVID: what the Workload API gives is not valid' };
		this.#deps.news(broken.broken);
	}

	/** Nothing of what the Workload API gave is used any more. */
	#withdraw(missing: string): void {
		this.#held = { svid: undefined, missing, federated: new Map() };
		this.#jwtSvids?.forget();
		this.#deps.news(undefined);
	}

	#x509Down({ code, details }: CallEnd, forever: boolean): void {
		const words = details === '' ? `the stream ended (${code})` : details;
		this.#connection(false, forever ? `${words}; it is not tried again` : words);
		if (code === CODE.permissionDenied) {
			this.#broken = undefined;
			this.#withdraw('Sallyport has no SVID: the Workload API issues it no identity');
		} else if (this.#held.svid === undefined && this.#broken === undefined) {
			const missing = forever
				? 'Sallyport has no SVID: the Workload API does not take the request'
				: 'Sallyport has no SVID yet: the Workload API cannot be reached';
			if (missing === this.#held.missing) return;
			this.#held = { ...this.#held, missing };
			this.#deps.news(undefined);
		}
	}

	#connection(connected: boolean, problem: string | undefined): void {
		const news = connected !== this.#connected || problem !== this.#problem;
		if (connected !== this.#connected) this.#since = this.#deps.clock.now();
		this.#connected = connected;
		this.#problem = problem;
		if (news) this.#deps.connection(connected, problem);
	}

	#takeJwt(bytes: Buffer): void {
		const message = readJwtBundlesMessage(bytes);
		if ('broken' in message) {
			this.#jwtProblem = message.broken;
			return;
		}
		const jwt = new Map<string, JwtAuthorities>();
		const problems: string[] = [];
		for (const [key, set] of message) {
			const domain = domainOf(key);
			const authorities = domain === undefined ? undefined : readJwtBundle(set);
			if (domain === undefined || authorities === undefined)
				problems.push('a key that is no SPIFFE ID of a trust domain');
			else if ('broken' in authorities) {
				problems.push(`${domain}: ${authorities.broken}`);
				const before = this.#jwt.get(domain);
				if (before !== undefined) jwt.set(domain, before);
			} else jwt.set(domain, authorities);
		}
		this.#jwt = jwt;
		this.#jwtProblem = problems.length === 0 ? undefined : problems.join('; ');
	}

	#jwtDown({ code, details }: CallEnd, forever: boolean): void {
		if (code === CODE.permissionDenied || forever) this.#jwt = new Map();
		this.#jwtProblem = details === '' ? `the stream ended (${code})` : details;
	}
}
