/** What is wrong with the URL of a server that Sallyport asks (SPIFFE_Federation.md §5.2.1.1). */
export function endpointProblem(text: string): string | undefined {
	if (!URL.canParse(text)) return 'is no URL';
	const { protocol, username, password, hash } = new URL(text);
	if (protocol !== 'https:') return 'expected a URL that begins with https://';
	if (username !== '' || password !== '') return 'holds a user name or a password, which an endpoint does not take';
	return hash === '' ? undefined : 'has a fragment, which no server sees';
}
