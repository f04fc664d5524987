#!/bin/sh
# Runs a TensorZero gateway on the bundle that a link leads to, and starts it anew when the link leads to another.
# The link is switched by `model-registry tensorzero sync`, which also goes back when the gateway does not come up.
#
#   gateway.sh LINK [ARGUMENT...]     further arguments go to the gateway

link=$1
shift
pid= watcher=
trap 'kill $pid $watcher 2>/dev/null; wait; exit 0' TERM INT

while :; do
  # The directory itself: a gateway that is loading must not see the link move.
  bundle=$(readlink -f "$link") && [ -e "$bundle/tensorzero.toml" ] || { sleep 0.2; continue; }
  gateway --config-file "$bundle/tensorzero.toml" "$@" &
  pid=$!
  (while [ "$(readlink -f "$link")" = "$bundle" ]; do sleep 0.2; done; kill $pid) &
  watcher=$!
  wait $pid
  # Ended by itself: not again at once.
  [ "$(readlink -f "$link")" = "$bundle" ] && sleep 1
  kill $watcher 2>/dev/null
  wait $watcher 2>/dev/null
done
