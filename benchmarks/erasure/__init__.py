"""How long it takes to erase one session among many."""
