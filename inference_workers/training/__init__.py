"""How the shipped models were made: run by hand, never by a role. Needs the extra ``train``."""
