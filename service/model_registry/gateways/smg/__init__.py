"""SMG (Shepherd Model Gateway) as a gateway kind: it balances over the servers of our own nodes, by a list on disk.

It watches that file, `workers.json`, and takes changes by itself, at once: nodes come and go, and nothing restarts.

Measured with version 1.13.0 (tests/acceptance/gateways/test_smg.py asks the real program):

- The whole file counts, or none of it: an unknown key, a wrong type, two workers at one address or with one id, and the
  last good file stays in use. A worker has `url`, `id`, `model_id`, `worker_type` (only `regular`, unless prefill and
  decode are apart), `bootstrap_port` (not of a regular one), `kv_connector`, `kv_role`, `kv_engine_id`: no weight, no
  priority, no labels, no key. A caller's `Authorization` is passed on.
- A worker serves one model: `model_id`, or the first that its `/v1/models` lists. The request's `model` is passed on as
  it is, so `model_id` has to be a name that the server knows.
- A second worker at the same address is refused. But a path that leads back to it, `http://node:8000/as-NAME/..`, is
  another address to SMG, and the same to the server: that is how a server with several models is written.
- `url` is what stands before `/v1`. A server becomes a worker once its `GET /health` answers 200, whatever the option
  for health checks says: an Ollama has none, and needs a proxy before it that does.
- A file that was replaced is read within 0.2 s, and a new worker serves 0.03 s later; behind a link that moved, only
  when the interval ends. A worker that leaves the file gets nothing new, and 5 s for what it is answering.
- A model that no worker has is answered 404 (`model_not_found`), one whose workers are all down 503.
"""
