"""``affectstream bench fusion``: what a session costs, beside the floor and beside other stream processors."""
