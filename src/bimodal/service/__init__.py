"""The HTTP and WebSocket server, and the page that it shows; holds no logic of recognition (extra `serve`)."""
