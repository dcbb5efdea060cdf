import { Command, InvalidArgumentError, Option } from 'commander';
import { duration } from '../config/values.ts';
import { type FolderOptions, type Issued, initFolder, issueInFolder } from '../identity/dev-folder.ts';
import { example, jsonLine, timeText } from './terminal.ts';

interface Options {
	readonly dir: string;
	readonly ttl: number;
	readonly force?: boolean;
	readonly json?: boolean;
}

/** `certs init` and `certs issue`: a CA for development. In production SVIDs come from SPIRE or cert-manager. */
export function certsCommand(write: (text: string) => void = text => process.stdout.write(text)): Command {
	const certs = new Command('certs').description('make certificates for development');

	withOptions(certs.command('init'))
		.description('make a CA and the SVID of Sallyport')
		.option('--trust-domain <name>', 'trust domain of the CA', 'example.org')
		.addHelpText('after', example('sallyport certs init --trust-domain example.org --dir certs'))
		.action(async (options: Options & { readonly trustDomain: string }, command: Command) => {
			const made = await attempt(command, initFolder(options.trustDomain, folder(options)));
			if (made === undefined) return;
			if (options.json === true) {
				return write(
					jsonLine({
						trust_domain: made.trustDomain,
						ca: { certificate: made.ca.certificate, key: made.ca.key, not_after: timeText(made.ca.notAfter) },
						sallyport: facts(made.sallyport),
					}),
				);
			}
			write(`CA of ${made.trustDomain}   ${made.ca.certificate}   until ${timeText(made.ca.notAfter)}\n`);
			write(
				`${made.sallyport.spiffeId}   ${made.sallyport.certificate}   until ${timeText(made.sallyport.notAfter)}\n`,
			);
			write(`Next: sallyport certs issue spiffe://${made.trustDomain}/agents/NAME --dir ${options.dir}\n`);
		});

	withOptions(certs.command('issue'))
		.description('issue the SVID of an agent')
		.argument('<id>', 'SPIFFE ID, or the NAME in spiffe://TRUST_DOMAIN/agents/NAME')
		.addHelpText('after', example('sallyport certs issue spiffe://example.org/agents/researcher --ttl 24h'))
		.action(async (id: string, options: Options, command: Command) => {
			const made = await attempt(command, issueInFolder(id, folder(options)));
			if (made === undefined) return;
			if (options.json === true) return write(jsonLine(facts(made)));
			write(`${made.spiffeId}   ${made.certificate}   until ${timeText(made.notAfter)}\n`);
			write('Next: for `sallyport exec`, list the id at a listener under `authenticate.token.agents`\n');
		});

	return certs;
}

function withOptions(command: Command): Command {
	return command
		.option('--dir <folder>', 'folder of the certificates', 'certs')
		.addOption(
			new Option('--ttl <duration>', 'how long the SVID is valid').argParser(parseTtl).default(90 * 86_400_000, '90d'),
		)
		.option('--force', 'replace files that are there')
		.option('--json', 'print JSON');
}

function parseTtl(text: string): number {
	const parsed = duration.safeParse(text);
	if (!parsed.success || parsed.data === 0)
		throw new InvalidArgumentError('Expected a duration such as 30s, 24h or 90d.');
	return parsed.data;
}

const folder = ({ dir, ttl, force }: Options): FolderOptions => ({
	directory: dir,
	now: Date.now(),
	lifetime: ttl,
	force: force === true,
});

/** Status 2 for what the caller can mend; 1, and undefined, for what failed. */
async function attempt<Made extends object>(
	command: Command,
	work: Promise<Made | { readonly mistake: string }>,
): Promise<Made | undefined> {
	let made: Made | { readonly mistake: string };
	try {
		made = await work;
	} catch (error) {
		process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
		process.exitCode = 1;
		return undefined;
	}
	if ('mistake' in made) return command.error(`error: ${made.mistake}`, { exitCode: 2 });
	return made;
}

const facts = ({ spiffeId, certificate, key, notAfter }: Issued) => ({
	spiffe_id: spiffeId,
	certificate,
	key,
	not_after: timeText(notAfter),
});
