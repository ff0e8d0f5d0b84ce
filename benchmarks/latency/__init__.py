"""How long it takes from the sensor to the client."""
