#!/bin/sh
# Runs a TensorZero gateway, or LiteLLM, with the bundle that a link points to, and restarts it when the link points to
# another one. Which of them it is, the bundle's main file says. `model-registry gateways sync` switches the link, also back to
# the previous bundle if the gateway does not become healthy.
#
#   gateway.sh LINK [ARGUMENT...]     further arguments are passed to the gateway

link=$1
shift
pid= watcher=
trap 'kill $pid $watcher 2>/dev/null; wait; exit 0' TERM INT

while :; do
  # The directory itself: the link must not change under a gateway that is loading.
  bundle=$(readlink -f "$link")
  if [ -e "$bundle/tensorzero.toml" ]; then
    gateway --config-file "$bundle/tensorzero.toml" "$@" &
  elif [ -e "$bundle/config.yaml" ]; then
    litellm --config "$bundle/config.yaml" "$@" &
  else
    sleep 0.2
    continue
  fi
  pid=$!
  (while [ "$(readlink -f "$link")" = "$bundle" ]; do sleep 0.2; done; kill $pid) &
  watcher=$!
  wait $pid
  # The gateway exited by itself: do not restart it at once.
  [ "$(readlink -f "$link")" = "$bundle" ] && sleep 1
  kill $watcher 2>/dev/null
  wait $watcher 2>/dev/null
done
