"""Whose a session is."""

import pytest

from runtime.tenancy import EVERY_TENANT, new_session_id, owns, tenant_tag


def test_a_session_is_its_tenants_and_nobody_elses():
    mine, other = new_session_id("acme"), new_session_id("umbra")
    assert owns("acme", mine)
    assert not owns("acme", other)
    assert not owns("acme", "a-name-of-no-edge")
    assert owns(EVERY_TENANT, mine)
    assert owns(EVERY_TENANT, "a-name-of-no-edge")


def test_ids_cannot_be_guessed_and_fit_everywhere():
    ids = {new_session_id("acme") for _ in range(100)}
    assert len(ids) == 100
    assert {len(one) for one in ids} == {36}
    assert all(one.isalnum() for one in ids)


def test_tags_of_names_that_are_alike_are_not():
    tags = [tenant_tag(name) for name in ("acme", "acme2", "Acme", "acm", "default")]
    assert len(set(tags)) == len(tags)
    assert {len(tag) for tag in tags} == {12}


@pytest.mark.parametrize("name", ["", EVERY_TENANT, "a b", "-a", "a" * 64, "a/b", "a\n"])
def test_what_cannot_be_a_tenant_starts_nothing(name):
    with pytest.raises(ValueError, match="cannot be a tenant"):
        new_session_id(name)
