"""Avatar frames to thousands of WebSocket clients: how many a core serves, and how much later they get them."""
