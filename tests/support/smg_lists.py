"""Lists of workers that SMG accepts, and such as it refuses as a whole."""

from __future__ import annotations

import json
from typing import Any

_AT = {"url": "http://127.0.0.1:9"}

ACCEPTED: dict[str, Any] = {
    "none": [],
    "an address": [_AT],
    "without a scheme": [{"url": "127.0.0.1:9"}],
    "https": [{"url": "https://h:9"}],
    "IPv6": [{"url": "http://[::1]:9"}],
    "a path": [{"url": "http://h:9/a/b"}],
    "a path that leads back": [_AT, {"url": "http://127.0.0.1:9/as-m/..", "id": "b", "model_id": "m"}],
    "odd names": [{**_AT, "id": "a/b c:ü\n", "model_id": "a b/ü:c\n"}],
    "letters of all kinds": [{"url": "http://höst_1:9"}],
    "a long id": [{**_AT, "id": "a" * 3000}],
    "regular": [{**_AT, "worker_type": "regular"}],
    "of engines": [{**_AT, "kv_connector": "c", "kv_role": "r", "kv_engine_id": "e"}],
    "ports apart": [{"url": "http://h:80"}, {"url": "http://h:443"}],
    "many": [{"id": f"n{number}", "url": f"http://h{number}:9"} for number in range(3000)],
}

REFUSED: dict[str, Any] = {
    **{key: [{**_AT, key: value}] for key, value in {
        "labels": {"a": "b"}, "priority": 1, "weight": 1, "cost": 1.0, "api_key": "k", "models": ["m"],
        "runtime_type": "vllm", "health": {}, "bootstrap_port": 3,
    }.items()},
    "no address": [{"id": "a"}],
    "an empty address": [{"url": ""}],
    "a space": [{"url": "http://h h:9"}],
    "port 0": [{"url": "http://h:0"}],
    "port 99999": [{"url": "http://h:99999"}],
    "another scheme": [{"url": "ftp://h:9"}],
    "a rank": [{"url": "http://h:9@2"}],
    "a rank behind a path": [{"url": "http://h:9/a@2"}],
    "a model that is no text": [{**_AT, "model_id": ["m"]}],
    "an empty id": [{**_AT, "id": ""}],
    "of another routing": [{**_AT, "worker_type": "prefill"}],
    "one address twice": [{**_AT, "id": "a"}, {**_AT, "id": "b"}],
    "one address in two spellings": [{"id": "a", "url": "http://h:9"}, {"id": "b", "url": "https://H:9/"}],
    "one id twice": [{"id": "a", "url": "http://h:9"}, {"id": "a", "url": "http://h:8"}],
    "a worker that is none": ["http://h:9"],
    "no list": {},
    "another version": '{"version": 2, "workers": []}',
    "no version": '{"workers": []}',
    "a further key": '{"version": 1, "workers": [], "comment": "x"}',
    "a key twice": '{"version": 1, "workers": [], "workers": []}',
    "a comment": '// x\n{"version": 1, "workers": []}',
    "half of it": '{"version": 1,',
    "nothing": "",
}  # fmt: skip


def text_of(workers: object) -> bytes:
    """The file of such a list; text is the file itself."""
    if isinstance(workers, str):
        return workers.encode()
    return json.dumps({"version": 1, "workers": workers}).encode()
