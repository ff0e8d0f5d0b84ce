from cli.ports import PORTS, free_ports


def test_ports_are_distinct_and_outside_the_ephemeral_range():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port in PORTS for port in ports)
