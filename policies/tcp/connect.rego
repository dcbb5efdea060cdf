# Connections through a TCP door: opaque bytes, so the upstream is all there is to decide on.
package sallyport.connect

allow if {
	input.call.protocol == "tcp"
	some prefix in input.agent.prefixes
	data.grants.tcp[prefix][input.target.name]
}
