"""Validates configurations for LiteLLM: by rules, and by LiteLLM's own Router in a process of its own.

Its proxy reads more than its core can check: `litellm.proxy.proxy_server` cannot be imported without the proxy's extra
(1.110.2 lacks `backoff`, and the extra needs older versions of our libraries). What only the proxy reads (callbacks,
guardrails, `general_settings`) is left to the rules; the tests start the real proxy on what is rendered.
"""
