"""What a log file's path tells of its container."""

from pathlib import Path

from keelwatch.capture.logs.paths import identity_of
from keelwatch.model.identity import Identity

NODE = Identity(cluster="one", node="n1", identity_source="cluster=config")


def test_the_kubelets_path_names_pod_and_container():
    found = identity_of(Path("/var/log/pods/shop_checkout-5d-x1_1f2e/app/3.log.20260101-120000"), NODE)
    assert (found.namespace, found.pod, found.pod_uid) == ("shop", "checkout-5d-x1", "1f2e")
    assert (found.container, found.restart, found.node) == ("app", 3, "n1")
    assert "pod=path" in found.identity_source


def test_another_path_tells_nothing():
    for path in ("/var/lib/docker/containers/ab/ab-json.log", "/x.log", "/a_b_c/app/x.log"):
        assert identity_of(Path(path), NODE) is NODE
