package sallyport.request_test

import data.sallyport.request

_grants := {"http": {
	"/agents": {"status": {"read": true}},
	"/agents/clerk": {"crm": {"read": true, "write": true}},
}}

_call(agent, target, effect, segments) := {
	"agent": {"prefixes": ["/agents", agent]},
	"target": {"name": target},
	"call": {"protocol": "http", "effect": effect},
	"http": {"segments": segments},
}

test_a_grant_allows if {
	request.allow with input as _call("/agents/clerk", "crm", "write", ["contacts"])
		with data.grants as _grants
}

test_a_grant_to_a_prefix_allows if {
	request.allow with input as _call("/agents/clerk", "status", "read", [])
		with data.grants as _grants
}

test_another_effect_is_not_granted if {
	not request.allow with input as _call("/agents/clerk", "status", "write", [])
		with data.grants as _grants
}

test_another_agent_is_not_granted if {
	not request.allow with input as _call("/agents/researcher", "crm", "read", [])
		with data.grants as _grants
}

test_an_undeclared_target_is_not_granted if {
	call := object.remove(_call("/agents/clerk", "crm", "read", []), ["target"])
	not request.allow with input as call
		with data.grants as _grants
}

test_an_unknown_effect_is_not_granted if {
	not request.allow with input as _call("/agents/clerk", "crm", "unknown", [])
		with data.grants as _grants
}

# A word that no rule looks up grants nothing, and nothing else says so.
test_grants_hold_known_effects if {
	every upstreams in data.grants.http {
		every granted in upstreams {
			every effect, yes in granted {
				effect in {"read", "write", "unknown"}
				is_boolean(yes)
			}
		}
	}
}

test_exports_are_denied if {
	some reason in request.deny with input as _call("/agents/clerk", "crm", "read", ["export", "all"])
	reason.code == "export"
}

test_other_paths_are_not_denied if {
	count(request.deny) == 0 with input as _call("/agents/clerk", "crm", "read", ["exports"])
}

test_refunds_are_asked_for if {
	count(request.ask) == 1 with input as _call("/agents/clerk", "crm", "write", ["refunds", "7"])
	count(request.ask) == 0 with input as _call("/agents/clerk", "crm", "read", ["refunds", "7"])
}
