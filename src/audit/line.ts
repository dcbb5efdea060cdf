import type { Identity } from '../model/agent.ts';
import { type CallFacts, POLICY_PATHS, type PolicyPath } from '../model/call.ts';
import type { Conn } from '../model/conn.ts';
import type { ControlRecord, DecisionRecord, OutcomeRecord } from '../model/record.ts';
import { judgedBy, type Target } from '../model/target.ts';
import type { BundleRevision } from '../model/verdict.ts';
import type { Masking } from './mask.ts';
import type { SqlStyle } from './sql.ts';
import { sqlForRecord } from './sql.ts';

/** Longest input or result that a record holds, in UTF-16 units; a longer one is erased, and the record says so. */
export const LONGEST_TEXT = 4 * 1024 * 1024;

/**
 * The same for calls that were not allowed, and their reasons: a refusal costs an agent nothing, so it must not be able
 * to buy much of the spool with one.
 */
export const LONGEST_REFUSED = 8 * 1024;

/** Longest other text in the record of a call that was not allowed; a longer one is cut. */
export const LONGEST_WORDS = 4 * 1024;

/** Words that are kept as JSON, and the longest of them, in UTF-16 units. */
const WORDS = 256;
const LONGEST_WORD = 32;

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

/**
 * The same text in one piece. A text that was put together from others is walked through anew in each text that it
 * becomes a part of.
 */
export const flat = (text: string): string => Buffer.from(text).toString();

/** A JSON value in one line. In valid JSON a raw line break can only be white space, so a space means the same. */
const oneLine = (json: string): string =>
	json.indexOf('\n') === -1 && json.indexOf('\r') === -1 ? json : json.replace(/[\r\n]/g, ' ');

type Verdict = 'allow' | 'ask' | 'deny';

/** What follows the id of a decision, by what was asked. */
const judged = (verdict: Verdict): Readonly<Record<PolicyPath, string>> =>
	Object.fromEntries(POLICY_PATHS.map(path => [path, `","verdict":"${verdict}","path":"sallyport/${path}"`])) as Record<
		PolicyPath,
		string
	>;
const JUDGED: Readonly<Record<Verdict, Readonly<Record<PolicyPath, string>>>> = {
	allow: judged('allow'),
	ask: judged('ask'),
	deny: judged('deny'),
};

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
	readonly #words = new Map<string, string>();
	/** By the list of what is read, or of the bundles where everything is. */
	readonly #judges = new WeakMap<readonly unknown[], { readonly bundles: unknown; readonly text: string }>();

	constructor(labels: Readonly<Record<string, string>>, masking: Masking, sql: SqlStyle) {
		this.#masking = masking;
		this.#sql = sql;
		this.#labels = Object.keys(labels).length === 0 ? '' : `,"labels":${JSON.stringify(labels)}`;
	}

	decision(record: DecisionRecord): string {
		const { decision, input, result, error, detail } = record;
		const { allowed, cause } = decision;
		const verdict = allowed ? 'allow' : cause === 'approval_required' ? 'ask' : 'deny';
		const erased: string[] = [];
		const longest = allowed ? LONGEST_TEXT : LONGEST_REFUSED;
		let body = `,"decision_id":"${decision.id}${JUDGED[verdict][judgedBy(record.phase, record.target)]}`;
		if (cause !== undefined) body += `,"cause":"${cause}"`;
		if (decision.observed) body += ',"observed":true';
		if (decision.reasons.length > 0) {
			const reasons = oneLine(JSON.stringify(decision.reasons));
			if (reasons.length > longest) erased.push('/reasons');
			else body += `,"reasons":${reasons}`;
		}
		if (detail !== undefined) body += `,"detail":${quote(cut(detail, '/detail', erased))}`;
		if (error !== undefined)
			body += `,"error":{"code":"${cause ?? 'error'}","message":${quote(cut(error, '/error/message', erased))}}`;
		body += this.#connOf(record.conn) + this.#targetOf(record.target);
		body += this.#callOf(record.call, allowed ? undefined : erased);
		if (input !== undefined) {
			const masked = input.text.length > longest ? undefined : this.#masking.apply(input);
			if (masked === undefined) erased.push('/input');
			else {
				body += `,"input":${oneLine(masked.text)}`;
				if (masked.masked.length > 0) body += `,"masked":${JSON.stringify(masked.masked)}`;
			}
		}
		if (result !== undefined) {
			if (result.length > longest) erased.push('/result');
			else body += `,"result":${oneLine(result)}`;
		}
		if (record.shadow !== undefined) body += `,"shadow":${oneLine(JSON.stringify(record.shadow))}`;
		if (erased.length > 0) body += `,"erased":${JSON.stringify(erased)}`;
		body += this.#judgesOf(record.bundles, record.reads);
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

	/** The rest of the `call` object. Cuts long texts where `erased` is given. */
	#callOf(call: CallFacts, erased: string[] | undefined): string {
		const operation = erased === undefined ? call.operation : cut(call.operation, '/call/operation', erased);
		const protocol = this.#word(call.protocol);
		const resource = quote(erased === undefined ? call.resource : cut(call.resource, '/call/resource', erased));
		let text = `,"protocol":${protocol},"operation":${this.#word(operation)},"resource":${resource},"effect":"${call.effect}"`;
		const more = call.record;
		if (more !== undefined) {
			for (const key in more) {
				const value = more[key];
				if (value === undefined || FIXED.has(key)) continue;
				let shown = key === 'sql' ? sqlForRecord(value, this.#sql, this.#masking) : value;
				if (erased !== undefined) shown = cut(shown, `/call/${key}`, erased);
				text += `,${this.#word(key)}:${shown === call.resource ? resource : this.#word(shown)}`;
			}
		}
		if (call.digest !== undefined) text += `,"digest":"${this.#masking.digest(quote(call.digest))}"`;
		return `${text}}`;
	}

	/** As `quote`, for what comes again and again: names of protocols, methods and fields. */
	#word(text: string): string {
		if (text.length > LONGEST_WORD) return quote(text);
		let word = this.#words.get(text);
		if (word === undefined) {
			word = quote(text);
			if (this.#words.size < WORDS) this.#words.set(text, word);
		}
		return word;
	}

	#connOf(conn: Conn): string {
		let text = this.#conns.get(conn);
		if (text === undefined) {
			text = flat(`${this.#identityOf(conn.identity)},"listener":${quote(conn.listener)}`);
			this.#conns.set(conn, text);
		}
		return text;
	}

	#identityOf(identity: Identity): string {
		let text = this.#identities.get(identity);
		if (text === undefined) {
			text = `,"call":{"agent":${quote(identity.agent.id)},"authentication":"${identity.authentication}"`;
			if (identity.serial !== undefined) text += `,"serial":${quote(identity.serial)}`;
			if (identity.token !== undefined) text += `,"token":"${identity.token}"`;
			this.#identities.set(identity, text);
		}
		return text;
	}

	#targetOf(target: Target): string {
		let text = this.#targets.get(target);
		if (text === undefined) {
			const name = target.upstream === undefined ? '' : `"name":${quote(target.upstream)},`;
			const agent = target.agent === undefined ? '' : `,"agent":${quote(target.agent)}`;
			const address = target.address === undefined ? '' : `,"address":${quote(target.address)}`;
			text = flat(`,"target":{${name}"host":${quote(target.host)},"port":${target.port}${address}${agent}}`);
			// An undeclared target is made for one call only: nothing to keep.
			if (target.upstream !== undefined) this.#targets.set(target, text);
		}
		return text;
	}

	/** By what it was judged: the same for all calls of an agent, until a policy changes. */
	#judgesOf(bundles: readonly BundleRevision[], reads: readonly string[] | undefined): string {
		if (reads === undefined && bundles.length === 0) return this.#labels;
		const key = reads ?? bundles;
		const known = this.#judges.get(key);
		if (known !== undefined && known.bundles === bundles) return known.text;
		const named = bundles.map(({ name, revision }) => [name, { revision }] as const);
		let text = named.length === 0 ? '' : `,"bundles":${JSON.stringify(Object.fromEntries(named))}`;
		if (reads !== undefined) text += `,"reads":${JSON.stringify(reads)}`;
		text = flat(text + this.#labels);
		this.#judges.set(key, { bundles, text });
		return text;
	}
}

/** A text that is not longer than may be in the record of a refused call; `pointer` goes into `erased` if it was. */
function cut(text: string, pointer: string, erased: string[]): string {
	if (text.length <= LONGEST_WORDS) return text;
	erased.push(pointer);
	return `${text.slice(0, LONGEST_WORDS)} …`;
}

/** The fields of an object without its braces, with a leading comma. */
function fragment(fields: Readonly<Record<string, unknown>>): string {
	const text = JSON.stringify(fields);
	return text === '{}' ? '' : `,${text.slice(1, -1)}`;
}
