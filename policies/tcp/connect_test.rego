package sallyport.tcp_test

import data.sallyport.connect

_grants := {"tcp": {"/agents/clerk": {"printer": true}}}

_call(agent, target) := {
	"agent": {"prefixes": ["/agents", agent]},
	"target": {"name": target, "protocol": "tcp"},
	"call": {"protocol": "tcp", "operation": "connect", "effect": "unknown"},
}

test_a_granted_upstream_is_allowed if {
	connect.allow with input as _call("/agents/clerk", "printer")
		with data.grants as _grants
}

test_another_upstream_is_not if {
	not connect.allow with input as _call("/agents/clerk", "scanner")
		with data.grants as _grants
}

test_another_agent_is_not if {
	not connect.allow with input as _call("/agents/researcher", "printer")
		with data.grants as _grants
}
