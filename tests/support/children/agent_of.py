"""The agent beside a gateway: `python agent_of.py GATEWAY REGISTRY DIRECTORY [PID_FILE HEALTH]`."""

from __future__ import annotations

import sys
from pathlib import Path

from model_registry.gateway_agent.agent import Agent, AgentTimeouts
from model_registry.gateway_agent.bundle_directory import BundleDirectory
from model_registry.gateway_agent.bundle_source import BundleSource
from model_registry.gateway_agent.gateway_process import LocalGateway

NAME, REGISTRY, DIRECTORY, *NOTIFIED = sys.argv[1:]
local = LocalGateway(pid_file=Path(NOTIFIED[0]), health=NOTIFIED[1]) if NOTIFIED else LocalGateway()
source = BundleSource(REGISTRY, gateway=NAME)
Agent(source, BundleDirectory(Path(DIRECTORY)), local, patience=AgentTimeouts(settle=0.2)).run()
