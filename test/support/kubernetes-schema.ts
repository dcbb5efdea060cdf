import { readFileSync } from 'node:fs';
import type { Manifest } from './chart.ts';

/** A definition of Kubernetes' OpenAPI (Swagger 2.0) document, without its descriptions. */
interface Definition {
	readonly $ref?: string;
	readonly type?: string;
	readonly format?: string;
	readonly enum?: readonly unknown[];
	readonly properties?: Readonly<Record<string, Definition>>;
	readonly additionalProperties?: Definition;
	readonly items?: Definition;
	readonly required?: readonly string[];
	readonly 'x-kubernetes-int-or-string'?: boolean;
	readonly 'x-kubernetes-group-version-kind'?: readonly {
		readonly group: string;
		readonly version: string;
		readonly kind: string;
	}[];
}

const FILE = new URL('../chart/kubernetes.jsonl', import.meta.url);
const OTHERS = new URL('../chart/definitions.jsonl', import.meta.url);

/** A CustomResourceDefinition of cert-manager or the Prometheus operator, without its descriptions. */
type Custom = Manifest & {
	readonly spec: {
		readonly group: string;
		readonly names: { readonly kind: string };
		readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Definition } }[];
	};
};

/** As cert-manager 1.21.2 and the Prometheus operator 0.85.0 publish them; for a cluster too. */
export const customDefinitions = (): readonly Custom[] =>
	readFileSync(OTHERS, 'utf8')
		.trimEnd()
		.split('\n')
		.map(line => JSON.parse(line) as Custom);

/** Judges objects by the published definitions; a key that they do not know is a mistake, as for server-side apply. */
export class KubernetesSchema {
	readonly #definitions = (
		JSON.parse(readFileSync(FILE, 'utf8')) as { readonly definitions: Readonly<Record<string, Definition>> }
	).definitions;
	readonly #custom = customDefinitions();

	/** What is wrong, each with its path; undefined when no definition is known for this kind. */
	problems(manifest: Manifest): readonly string[] | undefined {
		const [group, version] = manifest.apiVersion.includes('/')
			? manifest.apiVersion.split('/')
			: ['', manifest.apiVersion];
		const custom = this.#custom.find(({ spec }) => spec.group === group && spec.names.kind === manifest.kind);
		const found =
			custom?.spec.versions.find(({ name }) => name === version)?.schema.openAPIV3Schema ??
			Object.values(this.#definitions).find(definition =>
				definition['x-kubernetes-group-version-kind']?.some(
					one => one.kind === manifest.kind && one.version === version && one.group === group,
				),
			);
		if (found === undefined) return undefined;
		const problems: string[] = [];
		this.#judge(manifest, found, manifest.kind, problems);
		return problems;
	}

	#judge(value: unknown, definition: Definition, path: string, problems: string[]): void {
		if (definition.$ref !== undefined) {
			const named = this.#definitions[definition.$ref.replace('#/definitions/', '')];
			if (named === undefined) problems.push(`${path}: ${definition.$ref} is not known`);
			else this.#judge(value, named, path, problems);
			return;
		}
		const wrong = (what: string): void =>
			void problems.push(`${path}: expected ${what}, and got ${JSON.stringify(value)}`);
		if (definition.enum !== undefined && !definition.enum.includes(value)) wrong(`one of ${definition.enum.join()}`);
		if (definition.format === 'int-or-string' || definition['x-kubernetes-int-or-string'] === true) {
			if (typeof value !== 'string' && typeof value !== 'number') wrong('a string or a number');
			return;
		}
		switch (definition.type) {
			case 'string':
				if (typeof value !== 'string') wrong('a string');
				return;
			case 'integer':
				if (!Number.isInteger(value)) wrong('a whole number');
				return;
			case 'number':
				if (typeof value !== 'number') wrong('a number');
				return;
			case 'boolean':
				if (typeof value !== 'boolean') wrong('a boolean');
				return;
			case 'array':
				if (!Array.isArray(value)) wrong('a list');
				else if (definition.items !== undefined)
					for (const [index, one] of value.entries()) this.#judge(one, definition.items, `${path}[${index}]`, problems);
				return;
			default:
				if (typeof value !== 'object' || value === null || Array.isArray(value)) wrong('an object');
				else this.#judgeObject(value as Readonly<Record<string, unknown>>, definition, path, problems);
		}
	}

	#judgeObject(
		value: Readonly<Record<string, unknown>>,
		definition: Definition,
		path: string,
		problems: string[],
	): void {
		const { properties, additionalProperties, required = [] } = definition;
		for (const key of required) if (value[key] === undefined) problems.push(`${path}.${key} is missing`);
		for (const [key, one] of Object.entries(value)) {
			const inner = properties?.[key] ?? additionalProperties;
			if (inner !== undefined) this.#judge(one, inner, `${path}.${key}`, problems);
			else if (properties !== undefined) problems.push(`${path}.${key} is not known`);
		}
	}
}
