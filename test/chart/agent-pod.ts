/** An agent's pod, as somebody writes it who thinks of nothing. */
export const AGENT_POD = {
	apiVersion: 'v1',
	kind: 'Pod',
	metadata: { name: 'researcher', namespace: 'agents', labels: { 'sallyport.dev/inject': 'true' } },
	spec: {
		serviceAccountName: 'researcher',
		containers: [{ name: 'agent', image: 'registry.internal/researcher:1', securityContext: { runAsUser: 1000 } }],
		initContainers: [{ name: 'fetch', image: 'registry.internal/fetch:1', securityContext: { runAsUser: 1000 } }],
	},
} as const;
