import { parseConfig } from '../../src/config/load.ts';
import { type Problem, problemText } from '../../src/config/loaded.ts';
import type { Config } from '../../src/config/schema.ts';

/** The shortest configuration that is good. */
export const GOOD = `identity:
  trust_domain: example.org
  svid:
    files: { certificate: certs/sallyport.pem, key: certs/sallyport.key, trust_bundle: certs/ca.pem }
policy:
  files: [policies]
listeners:
  - name: egress
    address: 127.0.0.1:17401
    serves: http_proxy
`;

export const FILE = '/etc/sallyport/sallyport.yaml';

/** The problems of a text, as they are printed, without the file's path. */
export function problemsOf(text: string, env: NodeJS.ProcessEnv = {}): string[] {
	const loaded = parseConfig(text, FILE, env);
	const problems: readonly Problem[] = 'problems' in loaded ? loaded.problems : [];
	return problems.map(problem => problemText('', problem));
}

export function configOf(text: string, env: NodeJS.ProcessEnv = {}): Config {
	const loaded = parseConfig(text, FILE, env);
	if ('problems' in loaded) throw new Error(loaded.problems.map(problem => problemText(FILE, problem)).join('\n'));
	return loaded.config;
}
