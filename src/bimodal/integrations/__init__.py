"""Doors for other programs: agents (MCP, Pipecat, LiveKit) and notebooks. Each needs its own extra."""
