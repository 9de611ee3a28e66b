"""Tests of the suite whose venue does not claim what they are about are not collected: a skip means something again."""

import pytest

from tests.conformance.broker_suite import CLAIMABLE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not isinstance(item, pytest.Function) or _applies(item)]


def _applies(item: pytest.Function) -> bool:
    applies = getattr(item.function, "applies", None)
    return applies is None or bool(applies(_claims(item)))


def _claims(item: pytest.Function) -> frozenset[str]:
    """The claims of the item's class, or of the mix of features that it is parametrized with."""
    mix = item.callspec.params.get("mix") if hasattr(item, "callspec") else None
    if isinstance(mix, dict):
        return frozenset(name for name in CLAIMABLE if mix[name])
    claims: frozenset[str] = getattr(item.cls, "claims")  # noqa: B009 - the suite's tests are methods of such classes
    return claims
