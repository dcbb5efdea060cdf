# Judges every HTTP request.
package sallyport.request

# What is granted stands in data.yaml: agent, upstream, effect.
allow if data.grants[input.agent.path][input.target.name][input.call.effect]

deny contains "exports need the data office" if input.http.segments[0] == "export"

ask contains "a refund needs a person" if {
	input.call.effect == "write"
	input.http.segments[0] == "refunds"
}
