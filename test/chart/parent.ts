import { cpSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { CHART, type Manifest, POLICY, render } from '../support/chart.ts';
import { makeWorkspace } from '../support/workspace.ts';

const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: { name: researcher }
spec:
  selector: { matchLabels: { app: researcher } }
  template:
    metadata: { labels: { app: researcher } }
    spec:
      initContainers: {{ include "sallyport.initContainers" .Subcharts.sallyport | nindent 8 }}
      containers:
        - name: agent
          image: registry.internal/researcher:1
          volumeMounts: {{ include "sallyport.agentMounts" .Subcharts.sallyport | nindent 12 }}
      volumes: {{ include "sallyport.volumes" .Subcharts.sallyport | nindent 8 }}
`;

/** What a chart of one's own renders to that has this one as a dependency. */
export function renderParent(t: TestContext, helm: string): Manifest[] {
	const workspace = makeWorkspace(t);
	workspace.write(
		'own/Chart.yaml',
		'apiVersion: v2\nname: own\nversion: 1.0.0\ndependencies: [{ name: sallyport, version: 0.1.0 }]\n',
	);
	workspace.write('own/templates/deployment.yaml', DEPLOYMENT);
	cpSync(CHART, workspace.path('own/charts/sallyport'), { recursive: true });
	return render(helm, { sallyport: POLICY }, workspace.path('own'));
}
