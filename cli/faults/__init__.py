"""``affectstream verify faults``: parts of a real deployment are cut, frozen, killed, and what comes of it is told."""
