"""What runtimes leave on disk and in /proc, from fixtures: CRI-O, Podman, cri-dockerd, bad input."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelwatch.enrich.runtime import Runtimes, bundles, cgroups, docker, holders, rootfs, statefiles
from keelwatch.enrich.runtime.details import MAX_LABELS, MAX_TEXT, ContainerDetails, Draft

ID = "ab" * 32
OTHER = "cd" * 32


class FakeProc:
    """A /proc with just the files that discovery reads."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self,
        pid: int,
        comm: str,
        argv: list[str],
        parent: int = 1,
        cgroup: str = "/",
        cwd: str = "/",
        status: str = "Uid:\t0\t0\t0\t0\nNSpid:\t9\n",
    ) -> None:
        base = self.root / str(pid)
        base.mkdir(parents=True)
        (base / "comm").write_text(comm + "\n")
        (base / "cmdline").write_text("\0".join(argv) + "\0")
        (base / "cgroup").write_text(f"0::{cgroup}\n")
        (base / "stat").write_text(f"{pid} ({comm}) S {parent} 0 0\n")
        (base / "status").write_text(status)
        (base / "mountinfo").write_text("")
        (base / "cwd").symlink_to(cwd)
        (base / "root").symlink_to("/")


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path / "proc")


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


POD_LABELS = {
    "io.kubernetes.pod.name": "web-7d9-x2x9z",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": "u-1",
}


def crio_container(folder: Path, log: str) -> Path:
    """What CRI-O 1.34 keeps of one, and of its pod's sandbox; returns its bundle."""
    bundles, annotation = folder / "run" / "overlay-containers", "io.kubernetes.cri-o."
    container = {
        "ContainerType": "container",
        "SandboxID": OTHER,
        "ImageName": "localhost/shop/web:1",
        "ImageRef": "f00d",
        "LogPath": log,
        "Created": "2024-05-06T07:08:09.123456789Z",
        "Labels": json.dumps(POD_LABELS | {"io.kubernetes.container.name": "main"}),
        "Metadata": json.dumps({"name": "main", "attempt": 3}),
        "Annotations": json.dumps({"io.kubernetes.container.restartCount": "9" * 20}),
    }
    sandbox = {
        "ContainerType": "sandbox",
        "Labels": json.dumps(
            POD_LABELS | {"io.kubernetes.container.name": "POD", "pod-template-hash": "7d9"}
        ),
        "Annotations": json.dumps({"team": "payments"}),
    }
    for name, about in ((ID, container), (OTHER, sandbox)):
        annotations = {f"{annotation}{key}": value for key, value in about.items()}
        write_json(
            bundles / name / "userdata" / "config.json",
            {"annotations": annotations, "root": {"path": "/merged"}},
        )
    images = [{"id": "beef", "digest": "sha256:no"}, 7, {"id": "f00d", "digest": "sha256:cafe"}]
    write_json(folder / "root" / "overlay-images" / "images.json", images)
    (bundles / ID / "userdata" / "pidfile").write_text("4242")
    return bundles / ID / "userdata"


def test_crio_is_read_from_conmons_bundle(proc: FakeProc, tmp_path: Path) -> None:
    bundle = crio_container(tmp_path, "/var/log/pods/shop_web_u-1/main/3.log")
    kept = tmp_path / "root" / "overlay-containers" / ID / "userdata"
    argv = ["/usr/bin/conmon", "-b", str(bundle), "-c", ID, "-p", str(bundle / "pidfile")]
    proc.add(50, "conmon", [*argv, "--persist-dir", str(kept)])
    proc.add(60, "nginx", ["nginx"], parent=50, cgroup=f"/kubepods.slice/crio-{ID}.scope")
    (proc.root / "50/mountinfo").write_text(
        "90 1 0:77 / /merged rw - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/u,workdir=/w\n"
    )
    details = Runtimes(proc.root, tmp_path).find(ID, 60)
    assert details is not None
    assert (details.runtime, details.pod, details.namespace, details.name) == (
        "cri-o",
        "web-7d9-x2x9z",
        "shop",
        "main",
    )
    assert (details.restart, details.image, details.image_digest) == (
        3,
        "localhost/shop/web:1",
        "sha256:cafe",
    )
    assert (details.labels["pod-template-hash"], details.annotations["team"]) == ("7d9", "payments")
    assert details.labels["io.kubernetes.container.name"] == "main"
    assert (details.log_path, details.log_format) == ("/var/log/pods/shop_web_u-1/main/3.log", "cri")
    assert (details.root_device, details.upper_dir, details.lower_dirs) == (77, "/u", ("/l/A", "/l/B"))
    assert (details.pid, details.sandbox_id, details.complete) == (4242, OTHER, True)
    assert details.created == 1714979289123456789


@pytest.mark.parametrize("damaged", ["sandbox", "images"])
def test_crio_without_all_of_its_files_is_known_as_far_as_they_go(
    proc: FakeProc, tmp_path: Path, damaged: str
) -> None:
    bundle = crio_container(tmp_path, "/x/0.log")
    kept = tmp_path / "root" / "overlay-containers" / ID / "userdata"
    file = {
        "sandbox": bundle.parents[1] / OTHER / "userdata" / "config.json",
        "images": tmp_path / "root" / "overlay-images" / "images.json",
    }[damaged]
    file.write_text('{"annotations": [1')
    argv = ["/usr/bin/conmon", "-b", str(bundle), "-c", ID, "-p", str(bundle / "pidfile")]
    proc.add(50, "conmon", [*argv, "--persist-dir", str(kept)])
    details = Runtimes(proc.root, tmp_path).find(ID)
    assert details is not None
    assert (details.pod, details.name, details.complete) == ("web-7d9-x2x9z", "main", True)
    assert bool(details.image_digest) == (damaged != "images")
    assert ("pod-template-hash" in details.labels) == (damaged != "sandbox")


def test_where_crio_listens_is_read_from_its_files(proc: FakeProc, tmp_path: Path) -> None:
    main, more = tmp_path / "crio.conf", tmp_path / "crio.conf.d"
    more.mkdir()
    main.write_text('[crio.api]\nlisten = "/run/one.sock"\n')
    argv = ["crio", "--config", str(main), "--config-dir", str(more)]
    proc.add(15, "crio", argv)
    assert [found.place for found in holders.find_all(proc.root)] == ["/run/one.sock"]
    (more / "10-a.conf").write_text('[crio.api]\nlisten = "/run/two.sock"\n')
    (more / "20-b.conf").write_text("not toml [")
    assert [found.place for found in holders.find_all(proc.root)] == ["/run/two.sock"]


def test_podman_is_told_apart_from_crio(proc: FakeProc, tmp_path: Path) -> None:
    bundle = tmp_path / "userdata"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"annotations": {"io.container.manager": "libpod"}}))
    proc.add(
        50,
        "conmon",
        ["/usr/bin/conmon", "-c", ID, "-b", str(bundle), "-n", "quirky_name", "-l", "k8s-file:/x/ctr.log"],
    )
    details = Runtimes(proc.root, tmp_path).find(ID)
    assert details is not None
    assert (details.runtime, details.name, details.pod) == ("podman", "quirky_name", "")
    assert (details.log_path, details.log_format) == ("/x/ctr.log", "cri")


def test_a_container_cannot_pose_as_a_shim(proc: FakeProc, tmp_path: Path) -> None:
    bundle = tmp_path / "evil" / ID
    bundle.mkdir(parents=True)
    annotations = {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-name": "innocent",
    }
    (bundle / "config.json").write_text(json.dumps({"annotations": annotations}))
    argv = ["containerd-shim-runc-v2", "-namespace", "k8s.io", "-address", "/tmp/evil.sock"]
    proc.add(70, "containerd-shim", argv, cgroup=f"/kubepods/pod1/{OTHER}", cwd=str(bundle))
    proc.add(71, "sh", ["sh"], parent=70, cgroup=f"/kubepods/pod1/{OTHER}")
    assert Runtimes(proc.root, tmp_path).find(ID, 71) is None


@pytest.mark.parametrize(
    "status",
    [
        "Uid:\t1000\t1000\t1000\t1000\nNSpid:\t9\n",
        "Uid:\t1000\t0\t0\t0\nNSpid:\t9\n",
        "Uid:\t0\t0\t0\t0\nNSpid:\t9\t1\n",
        "",
    ],
)
def test_only_roots_processes_of_the_node_are_believed(proc: FakeProc, status: str) -> None:
    for pid, name in enumerate(("containerd-shim", "conmon", "containerd", "dockerd", "crio"), 90):
        proc.add(pid, name, [name, "-c", ID, "-b", "/tmp/evil"], status=status)
    assert list(holders.find_all(proc.root)) == []


def test_dockers_log_is_looked_for_in_its_data_root_only(tmp_path: Path) -> None:
    folder = tmp_path / "containers" / ID
    folder.mkdir(parents=True)
    (folder / "hostconfig.json").write_text(json.dumps({"LogConfig": {"Type": "json-file"}}))
    log = f"containers/{ID}/{ID}-json.log"
    assert of_docker(tmp_path, "/web", {}, LogPath=f"/data/{log}").log_path == str(tmp_path / log)
    for elsewhere in ("/etc/shadow", f"/etc/{ID}-json.log", f"/x/containers/{OTHER}/{OTHER}-json.log"):
        assert of_docker(tmp_path, "/web", {}, LogPath=elsewhere).log_path == ""


@pytest.mark.parametrize(
    ("name", "is_container"),
    [
        (ID, True),
        (f"{ID}.scope", True),
        (f"docker-{ID}.scope", True),
        (f"kubepods-besteffort-podx.slice:cri-containerd:{ID}", True),
        (f"crio-conmon-{ID}.scope", False),
        (f"x.slice:conmon:{ID}", False),
        (f"x{ID}", False),
        (f"{'a' * 64}{ID}", False),
        (f"{ID}-x", False),
        (ID.upper(), False),
        (f"{'x' * 93}-{ID}", True),
        (f"{'x' * 94}-{ID}", False),  # the sensor reads no longer names
    ],
)
def test_a_cgroups_name_is_read_as_the_sensor_reads_it(name: str, is_container: bool) -> None:
    assert cgroups.container_in(name) == (ID if is_container else "")
    assert cgroups.outermost(f"3:pids:/{name}/x\n0::/\n") == (ID if is_container else "")


def test_the_v2_tree_says_first_whose_a_process_is() -> None:
    assert cgroups.outermost(f"4:pids:/{OTHER}\n0::/{ID}\n") == ID


def test_a_loop_of_parents_ends(proc: FakeProc, tmp_path: Path) -> None:
    proc.add(80, "a", ["a"], parent=81)
    proc.add(81, "b", ["b"], parent=80)
    assert holders.holder_of(80, proc.root) is None


def test_ids_that_are_paths_are_refused(proc: FakeProc, tmp_path: Path) -> None:
    proc.root.mkdir()
    for bad in ("", ".", "../x", "a/b", "a\0b", "x" * 129):
        assert Runtimes(proc.root, tmp_path).find(bad) is None


def test_daemons_are_found_with_where_they_keep_things(proc: FakeProc, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[grpc]\naddress = "/run/k3s/containerd.sock"\n')
    daemon_json = tmp_path / "daemon.json"
    daemon_json.write_text('{"data-root": "/srv/docker"}')
    proc.add(10, "containerd", ["containerd", "--config", str(config)])
    proc.add(11, "containerd", ["containerd", "-a", "/run/other.sock"])
    proc.add(12, "containerd", ["containerd"])
    proc.add(13, "dockerd", ["dockerd", f"--config-file={daemon_json}"])
    proc.add(14, "dockerd", ["dockerd", "--data-root", "/data"])
    proc.add(15, "crio", ["crio"])
    places = {
        found.pid: found.place for found in holders.find_all(proc.root) if isinstance(found, holders.Daemon)
    }
    assert places[10] == "/run/k3s/containerd.sock"
    assert places[11] == "/run/other.sock"
    assert (places[13], places[14]) == ("/srv/docker", "/data")
    assert places[15] == "/run/crio/crio.sock"


def of_docker(data_root: Path, name: str, labels: dict[str, str], **more: object) -> ContainerDetails:
    folder = data_root / "containers" / ID
    folder.mkdir(parents=True, exist_ok=True)
    config = {"Name": name, "Config": {"Labels": labels, "Image": "sha256:1"}, "State": {"Running": True}}
    (folder / "config.v2.json").write_text(json.dumps(config | more))
    draft = Draft(ID)
    assert docker.read_container(draft, data_root)
    return draft.finish()


DOCKERD_LABELS = {
    "io.kubernetes.docker.type": "container",
    "io.kubernetes.sandbox.id": OTHER,
    "io.kubernetes.pod.name": "web-0",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": "u-1",
    "io.kubernetes.container.name": "main",
    "annotation.io.kubernetes.container.restartCount": "9" * 20,
}


def test_cri_dockerd_marks_its_pods_with_labels(tmp_path: Path) -> None:
    for name in ("/k8s_main_web-0_shop_u-1_2", "/k8s_main_web-0_shop_u-1_2_5d3f"):
        details = of_docker(tmp_path, name, DOCKERD_LABELS)
        assert (details.pod, details.namespace, details.pod_uid) == ("web-0", "shop", "u-1")
        assert (details.name, details.restart, details.sandbox_id) == ("main", 2, OTHER)
        assert details.log_format == ""
    labels = DOCKERD_LABELS | {"io.kubernetes.docker.type": "podsandbox"}
    sandbox = of_docker(tmp_path, "/k8s_POD_web-0_shop_u-1_0", labels)
    assert (sandbox.kind, sandbox.pod, sandbox.name) == ("sandbox", "web-0", "")


@pytest.mark.parametrize("name", ["/innocent", "/k8s_main_web-0_other_u-1_0", "/k8s_x_web-0_shop_u-1_0"])
def test_an_image_cannot_label_its_containers_into_a_pod(tmp_path: Path, name: str) -> None:
    details = of_docker(tmp_path, name, DOCKERD_LABELS, RestartCount=10**25)
    assert (details.kind, details.pod, details.namespace, details.pod_uid) == ("container", "", "", "")
    assert details.name == name[1:]
    assert details.restart == 2**32 - 1


def test_below_containerd_annotations_do_not_make_another_runtime_of_it(tmp_path: Path) -> None:
    annotations = {
        "io.container.manager": "libpod",
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-name": "web",
    }
    (tmp_path / "config.json").write_text(json.dumps({"annotations": annotations}))
    draft = Draft(ID, "containerd")
    bundles.read_config(draft, tmp_path)
    assert (draft.get("runtime"), draft.get("pod")) == ("containerd", "web")


def test_what_docker_wrote_before_the_start_is_not_all(tmp_path: Path) -> None:
    folder = tmp_path / "containers" / ID
    folder.mkdir(parents=True)
    config = {"Name": "/web", "State": {"Running": False, "FinishedAt": "0001-01-01T00:00:00Z"}}
    (folder / "config.v2.json").write_text(json.dumps(config))
    assert not docker.read_container(Draft(ID), tmp_path)
    config = config | {"State": {"Running": True}, "LogPath": "/log"}
    (folder / "config.v2.json").write_text(json.dumps(config))
    assert docker.read_container(Draft(ID), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"annotations": 7, "root": []}',
        b'{"annotations": {"a": 1}}',
    ],
)
def test_a_bad_bundle_is_a_container_without_details(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    draft = Draft(ID, "containerd")
    config = bundles.read_config(draft, tmp_path)
    bundles.take_root(draft, config, str(tmp_path), os.getpid(), Path("/proc"))
    assert draft.finish().pod == ""


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b" " * (statefiles.MAX_FILE + 1))
    assert statefiles.read_text(tmp_path / "big") == ""


def test_labels_are_bounded() -> None:
    draft = Draft(ID)
    draft.add("cri", "labels", {f"k{i}": "v" * 10_000 for i in range(2000)})
    labels = draft.finish().labels
    assert len(labels) == MAX_LABELS
    assert {len(value) for value in labels.values()} == {MAX_TEXT}


def test_layers_with_odd_names_and_short_forms(tmp_path: Path) -> None:
    (tmp_path / "store/l/A").mkdir(parents=True)
    upper = f"{tmp_path}/store/x/diff"
    base = tmp_path / "proc/1"
    base.mkdir(parents=True)
    (base / "mountinfo").write_text(
        rf"90 1 0:300 / /a\040b rw shared:1 - overlay overlay rw,lowerdir=l/A:/has\:colon,upperdir={upper}"
        + "\n"
    )
    root = rootfs.root_at("/a b", 1, tmp_path / "proc")
    assert root.device == os.makedev(0, 300)
    assert root.lower == (f"{tmp_path}/store/l/A", "/has:colon")


def test_cgroups_of_every_driver_and_only_the_outermost(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("")
    ids = [f"{number:064x}" for number in range(1, 7)]
    paths = [
        f"kubepods/burstable/podx/{ids[0]}/docker/{OTHER}",
        f"kubepods.slice/kubepods-podx.slice/cri-containerd-{ids[1]}.scope",
        f"kubepods.slice/kubepods-podx.slice/crio-{ids[2]}.scope/container",
        f"system.slice/docker-{ids[3]}.scope",
        f"docker/{ids[4]}",
        f"machine.slice/libpod-{ids[5]}.scope",
        f"kubepods.slice/crio-conmon-{'e' * 64}.scope",
        f"machine.slice/libpod-conmon-{'e' * 64}.scope",
    ]
    for path in paths:
        (tmp_path / path).mkdir(parents=True)
    assert set(cgroups.find_all(tmp_path)) == set(ids)


def test_times_keep_their_nanoseconds() -> None:
    assert statefiles.nanoseconds("1970-01-01T00:00:01.000000007Z") == 1_000_000_007
    assert statefiles.nanoseconds("1970-01-01T01:00:01.5+01:00") == 1_500_000_000
    assert statefiles.nanoseconds("0001-01-01T00:00:00Z") == 0


@given(st.text())
def test_no_text_breaks_the_clock(text: str) -> None:
    assert statefiles.nanoseconds(text) >= 0


@given(st.text(), st.binary())
def test_no_mountinfo_breaks_the_layers(text: str, noise: bytes) -> None:
    line = f"1 2 0:5 / /r rw - overlay overlay rw,lowerdir={text}:{noise!r},upperdir={text}"
    words = line.split(" ")
    assert rootfs._parse(words).device in (0, 5)
