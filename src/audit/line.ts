import type { Identity } from '../model/agent.ts';
import type { CallFacts } from '../model/call.ts';
import type { Conn } from '../model/conn.ts';
import type { ControlRecord, DecisionRecord, OutcomeRecord } from '../model/record.ts';
import type { Target } from '../model/target.ts';
import type { BundleRevision } from '../model/verdict.ts';
import type { Masking } from './mask.ts';
import type { SqlStyle } from './sql.ts';
import { sqlForRecord } from './sql.ts';

/** Longest input or result that a record holds, in UTF-16 units; a longer one is erased, and the record says so. */
export const LONGEST_TEXT = 4 * 1024 * 1024;

const FIXED: ReadonlySet<string> = new Set([
	'agent',
	'authentication',
	'listener',
	'target',
	'protocol',
	'operation',
	'resource',
	'effect',
	'digest',
]);

const quote = (text: string): string => JSON.stringify(text);

/** A JSON value in one line. In valid JSON a raw line break can only be white space, so a space means the same. */
const oneLine = (json: string): string =>
	json.indexOf('\n') === -1 && json.indexOf('\r') === -1 ? json : json.replace(/[\r\n]/g, ' ');

/**
 * Makes the bodies of records: everything after the fields that every record begins with, from JSON fragments that are
 * made once per connection, target, policy revision. Two of them are made per call, so nothing here builds objects.
 */
export class Lines {
	readonly #masking: Masking;
	readonly #sql: SqlStyle;
	readonly #labels: string;
	readonly #identities = new WeakMap<Identity, string>();
	readonly #conns = new WeakMap<Conn, string>();
	readonly #targets = new WeakMap<Target, string>();
	readonly #bundles = new WeakMap<readonly BundleRevision[], string>();
	readonly #reads = new WeakMap<readonly string[], string>();

	constructor(labels: Readonly<Record<string, string>>, masking: Masking, sql: SqlStyle) {
		this.#masking = masking;
		this.#sql = sql;
		this.#labels = `,"labels":${JSON.stringify(labels)}`;
	}

	decision(record: DecisionRecord): string {
		const { decision, input, result } = record;
		const { cause } = decision;
		const verdict = decision.allowed ? 'allow' : cause === 'approval_required' ? 'ask' : 'deny';
		let body = `,"decision_id":"${decision.id}","verdict":"${verdict}","path":"sallyport/${record.phase}"`;
		if (cause !== undefined) body += `,"cause":"${cause}"`;
		if (decision.observed) body += ',"observed":true';
		if (decision.reasons.length > 0) body += `,"reasons":${oneLine(JSON.stringify(decision.reasons))}`;
		if (record.detail !== undefined) body += `,"detail":${quote(record.detail)}`;
		if (record.error !== undefined) body += `,"error":{"code":"${cause ?? 'error'}","message":${quote(record.error)}}`;
		body += this.#call(record.conn, record.target, record.call);
		let erased = '';
		if (input !== undefined) {
			const masked = input.text.length > LONGEST_TEXT ? undefined : this.#masking.apply(input);
			if (masked === undefined) erased = '"/input"';
			else {
				body += `,"input":${oneLine(masked.text)}`;
				if (masked.masked.length > 0) body += `,"masked":${JSON.stringify(masked.masked)}`;
			}
		}
		if (result !== undefined) {
			if (result.length > LONGEST_TEXT) erased += erased === '' ? '"/result"' : ',"/result"';
			else body += `,"result":${oneLine(result)}`;
		}
		if (erased !== '') body += `,"erased":[${erased}]`;
		body += this.#bundlesOf(record.bundles);
		if (record.reads !== undefined) body += this.#readsOf(record.reads);
		body += this.#labels;
		if (record.micros !== undefined)
			body += `,"metrics":{"timer_rego_query_eval_ns":${Math.round(record.micros * 1000)}}`;
		return body;
	}

	outcome(record: OutcomeRecord): string {
		let body = `,"decision_id":"${record.decisionId}","cause":"${record.cause}"`;
		if (record.status !== undefined) body += `,"status":${record.status}`;
		if (record.bytesSent !== undefined) body += `,"bytes_sent":${record.bytesSent}`;
		if (record.bytesReceived !== undefined) body += `,"bytes_received":${record.bytesReceived}`;
		if (record.rows !== undefined) body += `,"rows":${record.rows}`;
		if (record.attempts !== undefined) body += `,"attempts":${record.attempts}`;
		body += `,"duration_ms":${Math.round(record.durationMs * 1000) / 1000}`;
		if (record.error !== undefined) body += `,"error":{"code":"${record.cause}","message":${quote(record.error)}}`;
		return body;
	}

	/** A decision of an earlier run whose end nobody saw. */
	unknown(decisionId: string): string {
		return `,"decision_id":${quote(decisionId)},"cause":"unknown"`;
	}

	control(record: ControlRecord): string {
		let body = `,"action":${quote(record.action)},"operator":${quote(record.operator)}`;
		if (record.detail !== undefined) body += `,"detail":${JSON.stringify(record.detail)}`;
		return body + this.#labels;
	}

	/** A record of type `session`: connections that were refused before anybody was identified. */
	refusals(fields: Readonly<Record<string, unknown>>): string {
		return `,"verdict":"deny"${fragment(fields)}${this.#labels}`;
	}

	gap(fields: Readonly<Record<string, unknown>>): string {
		return `,"gap":${JSON.stringify(fields)}`;
	}

	#call(conn: Conn, target: Target, call: CallFacts): string {
		let text = this.#connOf(conn) + this.#targetOf(target);
		const resource = quote(call.resource);
		text += `,"protocol":${quote(call.protocol)},"operation":${quote(call.operation)},"resource":${resource},"effect":"${call.effect}"`;
		const more = call.record;
		if (more !== undefined) {
			for (const key in more) {
				const value = more[key];
				if (value === undefined || FIXED.has(key)) continue;
				const shown = key === 'sql' ? sqlForRecord(value, this.#sql, this.#masking) : value;
				text += `,${quote(key)}:${shown === call.resource ? resource : quote(shown)}`;
			}
		}
		if (call.digest !== undefined) text += `,"digest":"${call.digest}"`;
		return `${text}}`;
	}

	#connOf(conn: Conn): string {
		let text = this.#conns.get(conn);
		if (text === undefined) {
			text = `${this.#identityOf(conn.identity)},"listener":${quote(conn.listener)}`;
			this.#conns.set(conn, text);
		}
		return text;
	}

	#identityOf(identity: Identity): string {
		let text = this.#identities.get(identity);
		if (text === undefined) {
			text = `,"call":{"agent":${quote(identity.agent.id)},"authentication":"${identity.authentication}"`;
			if (identity.serial !== undefined) text += `,"serial":${quote(identity.serial)}`;
			this.#identities.set(identity, text);
		}
		return text;
	}

	#targetOf(target: Target): string {
		let text = this.#targets.get(target);
		if (text === undefined) {
			const name = target.upstream === undefined ? '' : `"name":${quote(target.upstream)},`;
			text = `,"target":{${name}"host":${quote(target.host)},"port":${target.port}}`;
			this.#targets.set(target, text);
		}
		return text;
	}

	#bundlesOf(bundles: readonly BundleRevision[]): string {
		let text = this.#bundles.get(bundles);
		if (text === undefined) {
			const named = bundles.map(({ name, revision }) => [name, { revision }] as const);
			text = named.length === 0 ? '' : `,"bundles":${JSON.stringify(Object.fromEntries(named))}`;
			this.#bundles.set(bundles, text);
		}
		return text;
	}

	#readsOf(reads: readonly string[]): string {
		let text = this.#reads.get(reads);
		if (text === undefined) {
			text = `,"reads":${JSON.stringify(reads)}`;
			this.#reads.set(reads, text);
		}
		return text;
	}
}

/** The fields of an object without its braces, with a leading comma. */
function fragment(fields: Readonly<Record<string, unknown>>): string {
	const text = JSON.stringify(fields);
	return text === '{}' ? '' : `,${text.slice(1, -1)}`;
}

/** RFC 3339 in UTC with milliseconds. Keeps the second it made last, since most records share it. */
export class Timestamps {
	#second = Number.NaN;
	#prefix = '';

	text(ms: number): string {
		const second = Math.floor(ms / 1000);
		if (second !== this.#second) {
			this.#prefix = new Date(second * 1000).toISOString().slice(0, 20);
			this.#second = second;
		}
		const rest = Math.floor(ms - second * 1000);
		return `${this.#prefix}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
	}
}
