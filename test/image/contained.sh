#!/bin/sh
# Runs a program as the container would: the tree at /opt/sallyport, libraries, one folder to write to, and nothing else;
# the root file system read-only, the user not root. To be started in a mount namespace of its own.
# usage: contained.sh ROOT TREE CONFIG STATE COMMAND...
set -eu
root=$1 tree=$2 config=$3 state=$4
shift 4
mkdir -p "$root"
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p opt/sallyport etc/sallyport var/lib/sallyport usr/lib usr/lib64 dev proc
mount --rbind "$tree" opt/sallyport
mount --rbind "$config" etc/sallyport
mount --rbind "$state" var/lib/sallyport
mount --rbind /dev dev
mount --rbind /proc proc
for lib in lib lib64; do
	[ ! -d "/usr/$lib" ] || mount --rbind "/usr/$lib" "usr/$lib"
	if [ -L "/$lib" ]; then ln -s "usr/$lib" "$lib"; elif [ -d "/$lib" ]; then mkdir -p "$lib" && mount --rbind "/$lib" "$lib"; fi
done
for place in opt/sallyport etc/sallyport .; do mount -o remount,bind,ro "$place"; done
user=
# In a namespace of an ordinary user there is only that user, and it is not root outside.
if [ "$(cat /proc/self/uid_map | tr -s ' ')" = " 0 0 4294967295" ]; then user=--userspec=65532:65532; fi
exec env -i PATH=/opt/sallyport/bin NODE_ENV=production /usr/sbin/chroot $user "$root" "$@"
