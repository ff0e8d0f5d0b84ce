"""What WebRTC ingest costs, and how soon a picture is there."""
