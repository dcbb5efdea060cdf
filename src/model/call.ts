export type Phase = 'connect' | 'request' | 'response';

export const PHASES: readonly Phase[] = ['connect', 'request', 'response'];

/** Whether an agent calls out, or a call comes in to the workload that Sallyport stands before. */
export type Direction = 'outbound' | 'inbound';

/** What is asked of policy, below `sallyport/`: `request`, or `inbound/request`. Each is a package of its own. */
export type PolicyPath = Phase | `inbound/${Phase}`;

export const POLICY_PATHS: readonly PolicyPath[] = [
	...PHASES,
	...PHASES.map((phase): PolicyPath => `inbound/${phase}`),
];

const INBOUND: Readonly<Record<Phase, PolicyPath>> = {
	connect: 'inbound/connect',
	request: 'inbound/request',
	response: 'inbound/response',
};

export const policyPath = (phase: Phase, direction: Direction): PolicyPath =>
	direction === 'inbound' ? INBOUND[phase] : phase;

export const phaseOf = (path: PolicyPath): Phase =>
	PHASES.find(phase => path === phase || path === INBOUND[phase]) ?? 'request';

export const directionOf = (path: PolicyPath): Direction => (path.startsWith('inbound/') ? 'inbound' : 'outbound');

export type Effect = 'read' | 'write' | 'unknown';

/** `input.call`: the same four for every protocol, and what records always hold of a call. */
export interface CallFacts {
	/** The innermost protocol that was recognized. */
	readonly protocol: string;
	readonly operation: string;
	readonly resource: string;
	readonly effect: Effect;
	/**
	 * SHA-256 (lower-case hex) over what makes a call the same call again, for approvals; absent where the
	 * protocol has nothing to digest before it acts (an opened tunnel or session).
	 */
	readonly digest?: string;
	/** What the fixed `call` object of a record holds beside the four: HTTP method and path, SQL text, tool. */
	readonly record?: Readonly<Record<string, string>>;
}

/**
 * Which paths below `input` policy reads. Made when a policy is loaded; asking is cheap.
 * Absent knowledge is answered with true: then everything is built.
 */
export interface Reads {
	/** True if policy reads this path, something below it, or a whole that contains it: `['http', 'headers', 'accept']`. */
	has(...path: readonly string[]): boolean;
	/** True if policy may read any key below this path (a reference with a variable), so all of them must be built. */
	all(...path: readonly string[]): boolean;
	/** Sorted dotted paths, for records (`reads`) and `policy check`; undefined when everything is built. */
	readonly paths: readonly string[] | undefined;
}

/** A stretch of an input's text, one JSON value, that must not stand in records as it is. */
export interface Mask {
	/** JSON Pointer below the record, `/input/http/headers/authorization`. */
	readonly pointer: string;
	readonly start: number;
	readonly end: number;
	/** `secret`: replaced by `"**"` always. `content`: replaced by a salted digest unless `audit.bodies: full`. */
	readonly kind: 'secret' | 'content';
}

/** JSON text with the stretches of it that records mask. Offsets count UTF-16 units of `text`. */
export interface MaskedText {
	readonly text: string;
	readonly masks: readonly Mask[];
}

/** What a protocol adds to the input under its own key (`http`, `sql`, …), built for what policy reads. */
export interface Section {
	readonly key: string;
	/** Called at most once per evaluation. The pointers of masks begin at `/input/KEY`. Undefined: nothing of it is read. */
	build(reads: Reads): MaskedText | undefined;
}
