#!/bin/sh
# Runs a TensorZero gateway with the bundle that a link points to, and restarts it when the link points to another one.
# `model-registry tensorzero sync` switches the link, also back to the previous bundle if the gateway does not become healthy.
#
#   gateway.sh LINK [ARGUMENT...]     further arguments are passed to the gateway

link=$1
shift
pid= watcher=
trap 'kill $pid $watcher 2>/dev/null; wait; exit 0' TERM INT

while :; do
  # The directory itself: the link must not change under a gateway that is loading.
  bundle=$(readlink -f "$link") && [ -e "$bundle/tensorzero.toml" ] || { sleep 0.2; continue; }
  gateway --config-file "$bundle/tensorzero.toml" "$@" &
  pid=$!
  (while [ "$(readlink -f "$link")" = "$bundle" ]; do sleep 0.2; done; kill $pid) &
  watcher=$!
  wait $pid
  # The gateway exited by itself: do not restart it at once.
  [ "$(readlink -f "$link")" = "$bundle" ] && sleep 1
  kill $watcher 2>/dev/null
  wait $watcher 2>/dev/null
done
