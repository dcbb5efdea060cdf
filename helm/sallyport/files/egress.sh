#!/bin/sh
# Closes every way out of a pod but Sallyport's: packets that do not go to loopback are dropped, or TCP is redirected to a
# captured listener, for every user but Sallyport's, by IPv4 and IPv6. Runs once, as root with NET_ADMIN, before the agent.
#
#   egress.sh --uid 65532 [--capture 17406] [--dns none|resolvers|ADDRESS[,ADDRESS...]] [--backend auto|nft|iptables] [--print]
#
# --uid       the user that Sallyport runs as; nothing else may run as it
# --capture   port of the listeners with `serves: captured` on 127.0.0.1 and ::1; without it TCP is refused like the rest
# --dns       who may be asked on port 53, by UDP and TCP: nobody, the name servers of /etc/resolv.conf, or these
# --backend   auto takes nft where it works, else iptables and ip6tables
# --print     shows the rules, and changes nothing
set -eu

fail() {
	echo "egress: $*" >&2
	exit 1
}

uid='' capture='' dns=none backend=auto print=''
while [ $# -gt 0 ]; do
	case $1 in
	--uid | --capture | --dns | --backend)
		[ $# -ge 2 ] || fail "$1 needs a value"
		case $1 in
		--uid) uid=$2 ;;
		--capture) capture=$2 ;;
		--dns) dns=$2 ;;
		--backend) backend=$2 ;;
		esac
		shift 2
		;;
	--print)
		print=yes
		shift
		;;
	*) fail "unknown option $1" ;;
	esac
done

number() {
	case $2 in
	'' | *[!0-9]*) fail "$1: expected a number, and got '$2'" ;;
	esac
}
number --uid "$uid"
[ "$uid" -ne 0 ] || fail '--uid: root is for no process that must be told apart'
[ -z "$capture" ] || {
	number --capture "$capture"
	[ "$capture" -ge 1 ] && [ "$capture" -le 65535 ] || fail "--capture: $capture is no port"
}

dns4='' dns6=''
case $dns in
none) servers='' ;;
resolvers)
	servers=$(sed -n 's/^[[:space:]]*nameserver[[:space:]]\{1,\}\([^[:space:]#;]*\).*/\1/p' /etc/resolv.conf)
	[ -n "$servers" ] || fail '--dns resolvers: /etc/resolv.conf names no server'
	;;
*) servers=$(echo "$dns" | tr , ' ') ;;
esac
for server in $servers; do
	case $server in
	*[!0-9a-fA-F:.]*) fail "--dns: $server is no address" ;;
	*:*) dns6="$dns6 $server" ;;
	*.*.*.*) dns4="$dns4 $server" ;;
	*) fail "--dns: $server is no address" ;;
	esac
done

list() {
	echo "$*" | tr ' ' ,
}

# $1: what is done with what may go on.
nft_dns() {
	[ -z "$dns4" ] || printf '\t\tip daddr { %s } %s %s\n' "$(list $dns4)" "$2" "$1"
	[ -z "$dns6" ] || printf '\t\tip6 daddr { %s } %s %s\n' "$(list $dns6)" "$2" "$1"
}

nft_rules() {
	# In one transaction: there is no moment without rules when it runs again.
	printf 'table inet sallyport\ndelete table inet sallyport\ntable inet sallyport {\n'
	if [ -n "$capture" ]; then
		printf '\tchain capture {\n\t\ttype nat hook output priority -100; policy accept;\n'
		printf '\t\tmeta skuid %s return\n\t\toifname "lo" return\n' "$uid"
		nft_dns return 'tcp dport 53'
		printf '\t\tmeta l4proto tcp redirect to :%s\n\t}\n' "$capture"
	fi
	printf '\tchain egress {\n\t\ttype filter hook output priority 0; policy drop;\n'
	# What was redirected goes to loopback, and is still said to leave by the interface that it was meant for.
	printf '\t\toifname "lo" accept\n\t\tip daddr 127.0.0.0/8 accept\n\t\tip6 daddr ::1 accept\n\t\tmeta skuid %s accept\n' "$uid"
	# Answers to whoever connected to the pod: probes, and calls that come in.
	printf '\t\tct direction reply ct state established,related accept\n'
	# The kernel itself finds its neighbours so; without it there is no IPv6.
	printf '\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept\n'
	nft_dns accept 'udp dport 53'
	nft_dns accept 'tcp dport 53'
	# ICMP errors are rate-limited, and a client would hang.
	printf '\t\tmeta l4proto tcp counter reject with tcp reset\n'
	printf '\t\tcounter reject with icmpx type admin-prohibited\n\t}\n}\n'
}

# $1: 4 or 6; the rules of one family for iptables-restore --noflush, which empties the chains that it names.
iptables_rules() {
	if [ "$1" = 4 ]; then
		servers=$dns4 prohibited=icmp-admin-prohibited loopback=127.0.0.0/8
	else
		servers=$dns6 prohibited=icmp6-adm-prohibited loopback=::1
	fi
	if [ -n "$capture" ]; then
		printf '*nat\n:SALLYPORT_CAPTURE - [0:0]\n'
		printf -- '-A SALLYPORT_CAPTURE -m owner --uid-owner %s -j RETURN\n-A SALLYPORT_CAPTURE -o lo -j RETURN\n' "$uid"
		for server in $servers; do
			printf -- '-A SALLYPORT_CAPTURE -d %s -p tcp --dport 53 -j RETURN\n' "$server"
		done
		printf -- '-A SALLYPORT_CAPTURE -p tcp -j REDIRECT --to-ports %s\nCOMMIT\n' "$capture"
	fi
	printf '*filter\n:SALLYPORT_EGRESS - [0:0]\n'
	printf -- '-A SALLYPORT_EGRESS -o lo -j ACCEPT\n-A SALLYPORT_EGRESS -d %s -j ACCEPT\n' "$loopback"
	printf -- '-A SALLYPORT_EGRESS -m owner --uid-owner %s -j ACCEPT\n' "$uid"
	printf -- '-A SALLYPORT_EGRESS -m conntrack --ctdir REPLY --ctstate ESTABLISHED,RELATED -j ACCEPT\n'
	if [ "$1" = 6 ]; then
		for type in neighbour-solicitation neighbour-advertisement router-solicitation; do
			printf -- '-A SALLYPORT_EGRESS -p icmpv6 --icmpv6-type %s -j ACCEPT\n' "$type"
		done
	fi
	for server in $servers; do
		for protocol in udp tcp; do
			printf -- '-A SALLYPORT_EGRESS -d %s -p %s --dport 53 -j ACCEPT\n' "$server" "$protocol"
		done
	done
	printf -- '-A SALLYPORT_EGRESS -p tcp -j REJECT --reject-with tcp-reset\n'
	printf -- '-A SALLYPORT_EGRESS -j REJECT --reject-with %s\nCOMMIT\n' "$prohibited"
}

# $1: iptables or ip6tables.
hook() {
	[ -z "$capture" ] || "$1" -w -t nat -C OUTPUT -j SALLYPORT_CAPTURE 2>/dev/null || "$1" -w -t nat -I OUTPUT 1 -j SALLYPORT_CAPTURE
	"$1" -w -C OUTPUT -j SALLYPORT_EGRESS 2>/dev/null || "$1" -w -I OUTPUT 1 -j SALLYPORT_EGRESS
}

with_nft() {
	nft_rules | nft -f -
}

with_iptables() {
	# The root file system may be read-only.
	export XTABLES_LOCKFILE=/dev/shm/sallyport-xtables.lock
	iptables_rules 4 | iptables-restore -w --noflush || fail 'iptables-restore did not take the rules'
	hook iptables
	# Without IPv6 in the kernel there is nothing to close.
	[ -e /proc/net/if_inet6 ] || return 0
	iptables_rules 6 | ip6tables-restore -w --noflush || fail 'ip6tables-restore did not take the rules'
	hook ip6tables
}

if [ "$backend" = auto ]; then
	if command -v nft >/dev/null 2>&1 && nft_rules | nft -c -f - 2>/dev/null; then
		backend=nft
	elif command -v iptables-restore >/dev/null 2>&1; then
		backend=iptables
	elif [ -n "$print" ]; then
		backend=nft
	else
		fail 'neither nft nor iptables works here: are they in the image, and is NET_ADMIN given?'
	fi
fi
case $backend in
nft | iptables) ;;
*) fail "--backend: expected auto, nft or iptables, and got '$backend'" ;;
esac

if [ -n "$print" ]; then
	if [ "$backend" = nft ]; then
		nft_rules
	else
		printf '# iptables-restore --noflush\n'
		iptables_rules 4
		printf '# ip6tables-restore --noflush\n'
		iptables_rules 6
	fi
	exit 0
fi
"with_$backend"
echo "egress: only the user $uid has a way out now${capture:+, TCP of everybody else is captured on port $capture} ($backend)" >&2
