import type { Identity } from '../model/agent.ts';
import {
	type CallFacts,
	directionOf,
	type Mask,
	type MaskedText,
	type PolicyPath,
	phaseOf,
	type Reads,
	type Section,
} from '../model/call.ts';
import type { Conn } from '../model/conn.ts';
import type { AgentPolicy } from '../model/ports.ts';
import type { Target } from '../model/target.ts';

/**
 * Assembles the input's text from pieces of JSON, most of which are made once per connection, target or revision.
 * Only keys that policy reads are written: the size of the input is what an evaluation costs.
 */

/** One call, or the opening of one session, as policy is to see it. */
export interface CallInput {
	/** Milliseconds since the epoch. */
	readonly time: number;
	readonly conn: Conn;
	readonly target: Target;
	readonly call: CallFacts;
	/** What the protocols add, the outer one first. */
	readonly sections: readonly Section[];
}

/** One per configuration; holds what can be prepared. */
export class InputBuilder {
	readonly #labels: string;
	readonly #plans: Readonly<Record<PolicyPath, WeakMap<AgentPolicy, Plan>>> = {
		connect: new WeakMap(),
		request: new WeakMap(),
		response: new WeakMap(),
		'inbound/connect': new WeakMap(),
		'inbound/request': new WeakMap(),
		'inbound/response': new WeakMap(),
	};

	constructor(labels: Readonly<Record<string, string>>) {
		this.#labels = JSON.stringify(labels);
	}

	build(policy: AgentPolicy, path: PolicyPath, input: CallInput): MaskedText {
		let plan = this.#plans[path].get(policy);
		if (plan === undefined) {
			plan = new Plan(path, policy.reads(path), this.#labels);
			this.#plans[path].set(policy, plan);
		}
		return plan.build(input);
	}
}

const NO_MASKS: readonly Mask[] = Object.freeze([]);

class Plan {
	readonly #reads: Reads;
	/** Everything of the input that never changes. */
	readonly #fixed: string;
	readonly #time: boolean;
	readonly #listener: boolean;
	readonly #agent: boolean;
	readonly #target: boolean;
	readonly #call: CallKeys | undefined;
	readonly #listeners = new Map<string, string>();
	readonly #identities = new WeakMap<Identity, string>();
	readonly #targets = new WeakMap<Target, string>();
	readonly #sections = new Map<string, boolean>();
	/** The text of the last time: many calls share a millisecond. */
	#lastTime = Number.NaN;
	#lastTimeText = '';

	constructor(path: PolicyPath, reads: Reads, labels: string) {
		this.#reads = reads;
		let fixed = '';
		if (reads.has('phase')) fixed += `,"phase":"${phaseOf(path)}"`;
		if (reads.has('direction')) fixed += `,"direction":"${directionOf(path)}"`;
		if (reads.has('labels')) fixed += `,"labels":${labels}`;
		this.#time = reads.has('time');
		this.#fixed = this.#time ? fixed : fixed.slice(1);
		this.#listener = reads.has('listener');
		this.#agent = reads.has('agent');
		this.#target = reads.has('target');
		this.#call = reads.has('call') ? callKeys(reads) : undefined;
	}

	build(input: CallInput): MaskedText {
		// Every piece but the first begins with a comma. The time comes first: the engine looks for it there.
		const begun = this.#time || this.#fixed !== '';
		let text = this.#time ? this.#timeText(input.time) : '{';
		text += this.#fixed;
		if (this.#listener) text += this.#listenerText(input.conn.listener);
		if (this.#agent) text += this.#agentText(input.conn.identity);
		if (this.#target) text += this.#targetText(input.target);
		let masks: Mask[] | undefined;
		if (this.#call !== undefined) {
			text += callText(this.#call, input.call);
			const { digest } = input.call;
			// It stands last, and who knows most of a body could guess the rest by it.
			if (digest !== undefined && this.#call.digest) {
				const end = text.length - 1;
				masks = [{ pointer: '/input/call/digest', start: end - JSON.stringify(digest).length, end, kind: 'content' }];
			}
		}
		for (const section of input.sections) {
			if (!this.#readsSection(section.key)) continue;
			const built = section.build(this.#reads);
			if (built === undefined) continue;
			text += `,"${section.key}":`;
			if (built.masks.length > 0) {
				masks ??= [];
				const shift = text.length;
				for (const mask of built.masks) masks.push({ ...mask, start: mask.start + shift, end: mask.end + shift });
			}
			text += built.text;
		}
		text += '}';
		if (begun || text === '{}') return { text, masks: masks ?? NO_MASKS };
		// What stands first brought its comma: one character less.
		const shifted = masks?.map(mask => ({ ...mask, start: mask.start - 1, end: mask.end - 1 }));
		return { text: `{${text.slice(2)}`, masks: shifted ?? NO_MASKS };
	}

	#timeText(time: number): string {
		if (time !== this.#lastTime) {
			this.#lastTime = time;
			this.#lastTimeText = `{"time":"${new Date(time).toISOString()}"`;
		}
		return this.#lastTimeText;
	}

	/** Listeners are few, and named by the configuration. */
	#listenerText(listener: string): string {
		let text = this.#listeners.get(listener);
		if (text === undefined) {
			text = `,"listener":${JSON.stringify(listener)}`;
			this.#listeners.set(listener, text);
		}
		return text;
	}

	#agentText(identity: Identity): string {
		let text = this.#identities.get(identity);
		if (text === undefined) {
			text = `,"agent":${this.#reads.all('agent') ? identity.json : readPart(this.#reads, 'agent', identity.json)}`;
			this.#identities.set(identity, text);
		}
		return text;
	}

	#targetText(target: Target): string {
		const known = this.#targets.get(target);
		if (known !== undefined) return known;
		const text = `,"target":${this.#reads.all('target') ? target.json : readPart(this.#reads, 'target', target.json)}`;
		// An undeclared target is made for one call only: nothing to keep.
		if (target.upstream !== undefined) this.#targets.set(target, text);
		return text;
	}

	#readsSection(key: string): boolean {
		let read = this.#sections.get(key);
		if (read === undefined) {
			read = this.#reads.has(key);
			this.#sections.set(key, read);
		}
		return read;
	}
}

/** The members of an object's text that are read. */
function readPart(reads: Reads, key: string, json: string): string {
	const whole = JSON.parse(json) as Record<string, unknown>;
	return JSON.stringify(Object.fromEntries(Object.entries(whole).filter(([name]) => reads.has(key, name))));
}

interface CallKeys {
	readonly protocol: boolean;
	readonly operation: boolean;
	readonly resource: boolean;
	readonly effect: boolean;
	readonly digest: boolean;
}

const callKeys = (reads: Reads): CallKeys => ({
	protocol: reads.has('call', 'protocol'),
	operation: reads.has('call', 'operation'),
	resource: reads.has('call', 'resource'),
	effect: reads.has('call', 'effect'),
	digest: reads.has('call', 'digest'),
});

function callText(keys: CallKeys, call: CallFacts): string {
	let text = '';
	if (keys.protocol) text += `,"protocol":${JSON.stringify(call.protocol)}`;
	if (keys.operation) text += `,"operation":${JSON.stringify(call.operation)}`;
	if (keys.resource) text += `,"resource":${JSON.stringify(call.resource)}`;
	if (keys.effect) text += `,"effect":"${call.effect}"`;
	if (keys.digest && call.digest !== undefined) text += `,"digest":${JSON.stringify(call.digest)}`;
	return `,"call":{${text.slice(1)}}`;
}
