package sallyport.tunnel_test

import data.sallyport.connect

_grants := {"tunnel": {"/agents/researcher": {"api.example.org:443": true, "api.example.org:22": true}}}

_call(agent, host, port) := {
	"agent": {"prefixes": ["/agents", agent]},
	"target": {"protocol": "tunnel", "host": host, "port": port},
	"call": {"protocol": "tunnel", "operation": "connect", "resource": sprintf("%s:%d", [host, port]), "effect": "unknown"},
}

test_a_granted_host_is_allowed if {
	connect.allow with input as _call("/agents/researcher", "api.example.org", 443)
		with data.grants as _grants
	count(connect.deny) == 0 with input as _call("/agents/researcher", "api.example.org", 443)
}

test_another_host_is_not if {
	not connect.allow with input as _call("/agents/researcher", "evil.example.org", 443)
		with data.grants as _grants
}

test_another_agent_is_not if {
	not connect.allow with input as _call("/agents/clerk", "api.example.org", 443)
		with data.grants as _grants
}

test_another_port_is_denied_even_if_granted if {
	some reason in connect.deny with input as _call("/agents/researcher", "api.example.org", 22)
	reason.code == "port"
}
