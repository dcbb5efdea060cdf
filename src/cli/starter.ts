/** What `init` writes. Each file is commented, and good as it stands once `certs init` has run. */

export const starterFiles = (trustDomain: string): Readonly<Record<string, string>> => ({
	'sallyport.yaml': configuration(trustDomain),
	'policies/request.rego': REQUEST,
	'policies/connect.rego': CONNECT,
	'policies/data.yaml': GRANTS,
	'policies/request_test.rego': TESTS,
	'.gitignore': '# Keys, tokens and records stay here.\n/certs/\n/var/\n',
});

const configuration = (trustDomain: string): string => `# yaml-language-server: $schema=./sallyport.schema.json
# \`sallyport config schema > sallyport.schema.json\` makes the schema; \`sallyport config check\` checks this file.
# Paths are relative to this file. Any string may be { env: NAME } or { file: path }.

identity:
  trust_domain: ${trustDomain}
  svid:
    # For development: \`sallyport certs init --trust-domain ${trustDomain}\`. cert-manager writes such files too.
    files: { certificate: certs/sallyport.pem, key: certs/sallyport.key, trust_bundle: certs/ca.pem }
    # Beside SPIRE instead: workload_api: { socket: unix:///run/spire/sockets/agent.sock }

policy:
  files: [policies] # Rego and data; compiled, watched, and swapped in when they are good
  mode: enforce # observe: records what would be refused, and lets it through

listeners:
  # For programs that show an X.509-SVID to their proxy.
  - name: egress
    address: 127.0.0.1:17401
    serves: http_proxy
    agents: ["spiffe://${trustDomain}/agents/**"]

  # For everything else: one token per agent, in var/tokens/NAME/token. \`sallyport exec\` hands it over.
  - name: egress-token
    address: 127.0.0.1:17402
    serves: http_proxy
    authenticate:
      token:
        directory: var/tokens
        agents: ["spiffe://${trustDomain}/agents/researcher"]

  # A door leads to one upstream; \`sallyport exec\` gives its address in the variable.
  # - { name: orders, address: 127.0.0.1:17432, upstream: orders, env: DATABASE_URL, database: orders }

upstreams:
  example: { address: example.com:443, protocol: http, tls: {}, upgrade: true } # upgrade: http:// calls go out by TLS
  # orders:
  #   address: db.internal:5432
  #   protocol: postgres
  #   tls: { trust_bundle: certs/db-ca.pem }
  #   credentials: [{ agents: ["spiffe://${trustDomain}/agents/*"], username: app, password: { file: /run/secrets/db } }]

audit:
  directory: var/audit # \`sallyport audit tail -f\` shows what happens
  on_failure: deny # what cannot be recorded does not happen

admin:
  health: { address: 127.0.0.1:17400 } # /livez /readyz /metrics
  control: { socket: var/control.sock } # \`sallyport status\`, \`sallyport reload\`
`;

const REQUEST = `package sallyport.request

# Judges every HTTP request. What is allowed stands in data.yaml: an agent's path, the upstream, the effect.

allow if {
	some prefix in input.agent.prefixes
	data.grants[prefix][input.target.name][input.call.effect]
}

deny contains "no secrets in paths" if contains(lower(input.http.path), "token=")
`;

const CONNECT = `package sallyport.connect

# Judges the opening of tunnels (CONNECT) and sessions (databases). Here: what data.yaml grants as "connect".

allow if {
	some prefix in input.agent.prefixes
	data.grants[prefix][input.target.name].connect
}
`;

const GRANTS = `# path of an agent -> upstream -> read, write, unknown; connect for tunnels and sessions
# A grant to /agents is one to every agent below it.
grants:
  # researcher may read from example, and nothing else
  /agents/researcher:
    example: { read: true }
`;

const TESTS = `package sallyport.request_test

import data.sallyport.request

grants := {"/agents/a": {"crm": {"read": true}}}

call(effect, path) := {
	"agent": {"prefixes": ["/agents", "/agents/a"]},
	"target": {"name": "crm"},
	"call": {"effect": effect},
	"http": {"path": path},
}

test_granted if request.allow with input as call("read", "/customers") with data.grants as grants

test_not_granted if not request.allow with input as call("write", "/customers") with data.grants as grants

test_another_agent if {
	other := json.patch(call("read", "/"), [{"op": "replace", "path": "/agent/prefixes/1", "value": "/agents/b"}])
	not request.allow with input as other with data.grants as grants
}

# A word that no rule looks up grants nothing, and nothing else says so.
test_grants_hold_known_words if {
	every agent, upstreams in data.grants {
		startswith(agent, "/")
		every granted in upstreams {
			every word, yes in granted {
				word in {"read", "write", "unknown", "connect"}
				is_boolean(yes)
			}
		}
	}
}

test_token_in_path if count(request.deny) == 1 with input as call("read", "/x/token=1")
`;
