"""What pytest leaves out: modules for programs that are not installed."""

from importlib.util import find_spec

NEEDED = {"livekit": "livekit", "mcp_server": "mcp", "pipecat": "pipecat"}
collect_ignore = [f"src/bimodal/integrations/{file}.py" for file, name in NEEDED.items() if find_spec(name) is None]
