"""Recordings: sessions of the log in one self-describing file; reading, writing and comparing them. No Kafka here."""
