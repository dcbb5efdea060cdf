import { Command } from 'commander';
import { boundOf, boundText, listen } from '../config/listen.ts';
import { listenAddress } from '../config/values.ts';
import { example, failure, mistake, processTerminal, settle, type Terminal } from './terminal.ts';
import { openWebhook } from './webhook/server.ts';

interface Options {
	readonly address: string;
	readonly injection: string;
	readonly certificate: string;
	readonly key: string;
}

const BACKLOG = 511;

/** `webhook`: puts Sallyport into pods as they are created. */
export function webhookCommand(terminal: Terminal = processTerminal()): Command {
	return new Command('webhook')
		.description(
			'Serve the mutating admission webhook of the Helm chart, which puts Sallyport into pods, and refuses those that could get around it. SIGTERM and SIGINT stop it.',
		)
		.requiredOption('--injection <file>', 'what is added to pods; the chart writes it')
		.requiredOption('--certificate <file>', "PEM certificate for the name of the webhook's Service")
		.requiredOption('--key <file>', 'its PEM key')
		.option('--address <place>', 'where it listens', '0.0.0.0:17490')
		.addHelpText(
			'after',
			example('sallyport webhook --injection injection.yaml --certificate /run/tls/tls.crt --key /run/tls/tls.key'),
		)
		.action((options: Options) => settle(terminal, () => serve(options, terminal)));
}

async function serve({ address, ...files }: Options, terminal: Terminal): Promise<number> {
	const place = listenAddress.safeParse(address);
	if (!place.success) throw mistake(`--address: ${place.error.issues[0]?.message ?? 'is none'}`);
	const say = (text: string): void => terminal.err(`${text}\n`);
	const webhook = await openWebhook(files, say).catch((error: Error) => {
		throw failure(error.message);
	});
	await listen(webhook.server, place.data, { mode: 0o600, backlog: BACKLOG });
	const bound = boundOf(webhook.server);
	say(`listening on ${bound === undefined ? address : boundText(bound)}`);
	return new Promise(resolve => {
		webhook.server.once('close', () => resolve(0));
		for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => webhook.close());
	});
}
