"""WebRTC into the edge: WHIP signalling, and the path from RTP packets to pictures and sound."""
