"""The agent that runs beside a gateway and delivers accepted configurations to it. Knows nothing of the server."""
