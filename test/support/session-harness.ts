import assert from 'node:assert/strict';
import { identity } from '../../src/model/agent.ts';
import type { Refusal } from '../../src/model/cause.ts';
import { Life } from '../../src/model/life.ts';
import { target } from '../../src/model/target.ts';
import { grantSession } from '../../src/policy/permit.ts';
import type {
	SessionEvent,
	SessionMachine,
	SessionProtocol,
	SessionSettings,
	SessionStep,
	SessionWay,
} from '../../src/protocols/contract.ts';
import { spiffeId } from './door-certificates.ts';

export const agent = identity(spiffeId('spiffe://example.org/agents/a'), 'mtls');

export const settings: SessionSettings = {
	address: 'db.internal:5432',
	authenticate: ['mtls'],
	upstreamTls: false,
	credential: () => 'none',
	maxBuffered: 65_536,
};

export interface HarnessOptions {
	readonly settings?: Partial<Omit<SessionSettings, 'authenticate'>> & { readonly authenticate?: SessionWay };
	readonly refuse?: Refusal;
	readonly alpn?: string;
	readonly shared?: unknown;
}

const ASKING: ReadonlySet<string> = new Set(['startTls', 'authenticate', 'decide', 'dial', 'compute', 'cancel']);

/**
 * A driver without sockets: answers what a machine asks, keeps what it sends, and checks with every step the rules
 * that hold for all machines.
 */
export class Harness {
	readonly machine: SessionMachine;
	readonly steps: SessionStep[] = [];
	closed: Extract<SessionStep, { kind: 'close' }> | undefined;
	readonly permit = grantSession({
		decisionId: 'decision-1',
		conn: { id: 'c1', identity: agent, listener: 'door', life: new Life() },
		target: target({ host: 'db.internal', port: 5432, protocol: 'tcp', tls: false }),
		life: new Life(),
	});
	#allowed = false;
	#waiting: SessionStep | undefined;
	readonly #options: HarnessOptions;

	constructor(protocol: SessionProtocol, options: HarnessOptions = {}) {
		this.#options = options;
		const { authenticate: way = 'mtls', ...more } = options.settings ?? {};
		this.machine = protocol.open({ ...settings, ...more, authenticate: [way] }, options.shared ?? protocol.share());
	}

	/** The question that `answer` would answer. */
	get waiting(): SessionStep | undefined {
		return this.#waiting;
	}

	feed(event: SessionEvent): void {
		if (this.closed !== undefined) return;
		const steps = this.machine.on(event);
		for (const [at, step] of steps.entries()) {
			assert.equal(this.closed, undefined, 'nothing follows a close');
			if (ASKING.has(step.kind)) {
				assert.equal(at, steps.length - 1, 'a question is the last of its list');
				assert.equal(this.#waiting, undefined, 'one question at a time');
				this.#waiting = step;
			}
			if (step.kind === 'toUpstream' || step.kind === 'dial') {
				assert.ok(this.#allowed, `${step.kind} before a verdict allowed it`);
				assert.equal(step.permit, this.permit);
			}
			if (step.kind === 'close') this.closed = step;
			this.steps.push(step);
		}
	}

	/** Answers one question as a good driver does; `compute` really computes. False if there is none. */
	async answer(): Promise<boolean> {
		const step = this.#waiting;
		this.#waiting = undefined;
		const alpn = this.#options.alpn === undefined ? {} : { alpn: this.#options.alpn };
		switch (step?.kind) {
			case undefined:
				return false;
			case 'startTls':
				this.feed(
					step.side === 'agent' ? { kind: 'identified', identity: agent, ...alpn } : { kind: 'secured', ...alpn },
				);
				return true;
			case 'authenticate':
				this.feed({ kind: 'identified', identity: agent });
				return true;
			case 'decide': {
				const cause = this.#options.refuse;
				const decision = { id: 'decision-1', allowed: cause === undefined, reasons: [], observed: false };
				this.#allowed = cause === undefined;
				if (cause === undefined) this.feed({ kind: 'decided', decision, permit: this.permit });
				else this.feed({ kind: 'decided', decision: { ...decision, cause } });
				return true;
			}
			case 'compute':
				this.feed({ kind: 'computed', result: await step.run() });
				return true;
			default:
				this.feed({ kind: 'dialled' });
				return true;
		}
	}

	async settle(): Promise<void> {
		while (this.closed === undefined && (await this.answer()));
	}

	/** Feeds bytes in pieces, answering between them. */
	async bytes(side: 'agent' | 'upstream', data: Buffer, cuts: readonly number[] = []): Promise<void> {
		let from = 0;
		for (const cut of [...cuts.filter(at => at < data.length).sort((a, b) => a - b), data.length]) {
			if (cut <= from) continue;
			this.feed({ kind: 'bytes', side, data: Buffer.from(data.subarray(from, cut)) });
			await this.settle();
			from = cut;
		}
	}

	sent(to: 'toAgent' | 'toUpstream'): Buffer {
		return Buffer.concat(this.steps.flatMap(step => (step.kind === to ? [step.data] : [])));
	}

	has(kind: SessionStep['kind']): boolean {
		return this.steps.some(step => step.kind === kind);
	}
}
