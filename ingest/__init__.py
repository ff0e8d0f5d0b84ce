"""The edge: sessions, consent, media in over WebSocket, into Kafka."""
