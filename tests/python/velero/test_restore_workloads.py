"""Which objects start something on a claim: these wait for its data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recoup.velero.manifests import PlannedObject
from recoup.velero.restore.workloads import ClaimUsers, is_before_data

WHY = "a pack is missing"


def planned(resource: str, document: dict[str, Any], name: str = "web") -> PlannedObject:
    return PlannedObject(resource, "db", name, document, "")


def pod_spec(claim: str) -> dict[str, Any]:
    return {"volumes": [{"name": "x", "emptyDir": {}}, {"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}


def template(claim: str) -> dict[str, Any]:
    return {"template": {"spec": pod_spec(claim)}}


KINDS = {
    "pods": pod_spec,
    "deployments.apps": template,
    "replicasets.apps": template,
    "daemonsets.apps": template,
    "statefulsets.apps": template,
    "replicationcontrollers": template,
    "jobs.batch": template,
    "cronjobs.batch": lambda claim: {"jobTemplate": {"spec": template(claim)}},
}


@pytest.mark.parametrize("resource", KINDS)
def test_each_kind_waits_for_its_claims(resource):
    users = ClaimUsers({("db", "lost"): WHY})
    assert WHY in users.why_held_back(planned(resource, {"spec": KINDS[resource]("lost")}))
    assert users.why_held_back(planned(resource, {"spec": KINDS[resource]("there")})) == ""
    assert ClaimUsers({("other", "lost"): WHY}).why_held_back(planned(resource, {"spec": KINDS[resource]("lost")})) == ""
    assert not is_before_data(planned(resource, {}))


@pytest.mark.parametrize(("spec", "is_held"), [
    ({"replicas": 3}, True),
    ({"replicas": 2}, False),
    ({"replicas": 1, "ordinals": {"start": 2}}, True),
    ({"replicas": 1, "ordinals": {"start": 3}}, False),
    ({"replicas": 0}, False),
])  # fmt: skip
def test_claims_that_a_stateful_set_makes(spec, is_held):
    document = {"spec": {**spec, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}
    found = ClaimUsers({("db", "data-web-2"): WHY}).why_held_back(planned("statefulsets.apps", document))
    assert bool(found) == is_held


def test_claims_that_a_pod_makes():
    document = {"spec": {"volumes": [{"name": "scratch", "ephemeral": {}}]}}
    assert ClaimUsers({("db", "web-scratch"): WHY}).why_held_back(planned("pods", document))


@pytest.mark.parametrize("resource", [
    "namespaces", "customresourcedefinitions.apiextensions.k8s.io", "storageclasses.storage.k8s.io", "persistentvolumes", "persistentvolumeclaims",
    "serviceaccounts", "secrets", "configmaps", "roles.rbac.authorization.k8s.io",
])  # fmt: skip
def test_what_comes_before(resource):
    assert is_before_data(planned(resource, {}))


@pytest.mark.parametrize("resource", ["services", "ingresses.networking.k8s.io", "clusters.postgresql.cnpg.io", "validatingwebhookconfigurations.admissionregistration.k8s.io"])
def test_what_comes_after(resource):
    """Operators start pods for what they own; a webhook whose pod does not run yet refuses everything."""
    assert not is_before_data(planned(resource, {}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["spec", "template", "volumes", "replicas", "persistentVolumeClaim", "claimName", "volumeClaimTemplates", "metadata", "name", "ordinals", "start"]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.sampled_from(sorted(KINDS)), JSON)
def test_any_document_is_taken(resource, document):
    spec = document if isinstance(document, dict) else {"spec": document}
    ClaimUsers({("db", "lost"): WHY}).why_held_back(planned(resource, spec))
