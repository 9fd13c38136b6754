"""Label selectors: the examples of Kubernetes' documentation, and what its own parser takes and refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recoup import InvalidArgumentError
from recoup.velero.selectors import LabelSelector

PRODUCTION = {"environment": "production", "tier": "frontend", "partition": "customerA"}
CACHE = {"environment": "qa", "tier": "backend", "app": "cache"}
DEVELOPMENT = {"environment": "dev", "tier": "cache", "release": "canary"}
BARE: dict[str, str] = {}
ALL = [PRODUCTION, CACHE, DEVELOPMENT, BARE]


# Those with "environment" and "partition" are in https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
@pytest.mark.parametrize(
    "text, selected",
    [
        ("", ALL),
        ("  ", ALL),
        ("environment = production", [PRODUCTION]),
        ("environment==production", [PRODUCTION]),
        ("tier != frontend", [CACHE, DEVELOPMENT, BARE]),
        ("environment=production,tier!=frontend", []),
        ("environment in (production, qa)", [PRODUCTION, CACHE]),
        ("tier notin (frontend, backend)", [DEVELOPMENT, BARE]),
        ("partition", [PRODUCTION]),
        ("!partition", [CACHE, DEVELOPMENT, BARE]),
        ("partition,environment notin (qa)", [PRODUCTION]),
        ("partition in (customerA, customerB),environment!=qa", [PRODUCTION]),
        ("environment=production,tier=frontend", [PRODUCTION]),
        ("environment in (production),tier in (frontend)", [PRODUCTION]),
        ("environment,environment notin (frontend)", [PRODUCTION, CACHE, DEVELOPMENT]),
        ("release=", []),
        ("release in ()", []),
        ("release notin ()", ALL),
    ],
)
def test_what_is_selected(text, selected):
    assert [each for each in ALL if LabelSelector.parse(text).matches(each)] == selected


@pytest.mark.parametrize(
    "text, labels, matches",
    [("x=", {"x": ""}, True), ("x=,z= ", {"x": "", "z": "a"}, False), ("x in (a,)", {"x": ""}, True), ("x in (,a)", {"x": "a"}, True),
     ("x in (a,,,)", {"x": ""}, True), ("x in ()", {"x": ""}, True), ("x notin ( )", {"x": ""}, False), ("\rx", {"x": "1"}, True),
     ("x>1", {"x": "2"}, True), ("x>1", {"x": "1"}, False), ("x<7", {"x": "-6"}, True), ("x<7", {"x": "six"}, False), ("x<7", {}, False),
     ("x > 1,z < 5", {"x": "2", "z": "4"}, True), ("a in (x,y,notin, z,in)", {"a": "in"}, True), ("in=notin", {"in": "notin"}, True),
     ("in", {"in": ""}, True), ("notin notin (in)", {"notin": "x"}, True), ("x  notin\t\t(abc,def)", {"x": "abc"}, False),
     ("example.com/key-with.dots_ in (so)", {"example.com/key-with.dots_": "so"}, False), ("0.1.2.domain/99 notin (10.10.100.1)", {}, True),
     ("x in (abc,abc)", {"x": "abc"}, True), ("x,y in (a)", {"x": "1", "y": "a"}, True)],
)  # fmt: skip
def test_spellings_that_kubernetes_takes(text, labels, matches):
    if "dots_" in text:
        with pytest.raises(InvalidArgumentError, match="no name"):
            LabelSelector.parse(text)
        return
    assert LabelSelector.parse(text).matches(labels) is matches


@pytest.mark.parametrize(
    "text",
    ["x=a||y=b", "x==a==b", "!x=a", "x<a", "x>1.5", "x,,y", ",x,y", "x,", "x nott in (y)", "a in (xyz),", "a in (xyz)b notin ()",
     "a in (xyz abc)", "a notin(", "a (", "(", "x in (", "x in", "x in abc", "!", "=a", "x=a b", "x in (a))", "-x=a", "x=-a", "x/y/z=a",
     "X.com/a=b", "/a=b", "x=" + "a" * 64, "a" * 64 + "=x", "x=ä"],
)  # fmt: skip
def test_spellings_that_kubernetes_refuses(text):
    with pytest.raises(InvalidArgumentError, match="no label selector"):
        LabelSelector.parse(text)


@given(st.text("xyzin, ()!=<>notin1") | st.text())
def test_any_text_is_a_selector_or_refused(text):
    try:
        selector = LabelSelector.parse(text)
    except InvalidArgumentError:
        return
    for labels in ({}, {"x": "y"}, {"x": "1", "in": "notin"}):
        assert selector.matches(labels) in (True, False)
